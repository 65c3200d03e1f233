"""Where a position falls in a row of equal slots."""

from __future__ import annotations

from numba import njit


@njit(cache=True)
def slot(position: float, count: int) -> int:
    """The slot, of 0 .. count - 1, that holds a position measured in slots; the nearest where none does.

    Clamped before it becomes an integer: converting a float out of range is undefined."""
    return int(min(max(position, 0.0), count - 1.0))
