"""How an extent is cut into blocks."""

from __future__ import annotations

from math import ceil


def rounded(value: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-value // step) * step


def balanced(extent: int, size: int, step: int) -> int:
    """The block size, a multiple of `step`, that cuts `extent` into even blocks no larger than `size`."""
    pieces = ceil(extent / max(size, step))
    return rounded(ceil(extent / pieces), step)
