"""Problems that are shipped: what `kerf demo` optimizes."""
