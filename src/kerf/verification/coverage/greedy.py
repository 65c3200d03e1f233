"""Greedy set cover (Chvatal, 1979)."""

from __future__ import annotations

import numpy as np


def greedy(hits: np.ndarray) -> list[int]:
    """Columns of `hits` (targets, runs; bool) that together hit every target that any hits, each the one that hits most of what is left."""
    todo, picked = hits.any(axis=1), []
    gains = hits[todo].sum(axis=0, dtype=np.int64)
    while todo.any():
        best = int(gains.argmax())
        got = todo & hits[:, best]
        gains -= hits[got].sum(axis=0, dtype=np.int64)
        todo &= ~got
        picked.append(best)
    return picked
