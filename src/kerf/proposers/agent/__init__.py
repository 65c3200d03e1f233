"""A language model as a proposer: see `agents.py` for the whole, `conversation.py` for one agent, `bench.py` for what a domain gives."""
