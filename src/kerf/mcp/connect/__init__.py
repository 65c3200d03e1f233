"""An agent's own configuration: where it is, how it is edited so that everything else in it stays, and how that is undone."""
