"""Assertions found in a design: only those that are proved."""

from kerf.verification.mining.mine import Mined, Mining, mine

__all__ = ["Mined", "Mining", "mine"]
