"""Search for a cheap exact proxy cost on clustered designs: annealing over an incremental evaluator."""

from kerf.placement.proxy_search.search import SearchOptions, optimize

__all__ = ["SearchOptions", "optimize"]
