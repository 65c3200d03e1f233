"""Where candidates come from. `make(name, space, archive, seed)` gives a proposer; `names()` lists them."""

from kerf.proposers.registry import DEFAULT, make, names

__all__ = ["DEFAULT", "make", "names"]
