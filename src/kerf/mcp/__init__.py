"""The verbs as tools of the Model Context Protocol, and the configuration that makes agents use them."""
