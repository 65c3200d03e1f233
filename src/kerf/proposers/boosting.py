"""Gradient-boosted oblivious trees for small tables, in numpy.

Own code because the search refits between evaluations: it needs no second of import time, no threads beside a forking evaluator, and the same
answer on every machine. Oblivious trees (one split a level) as in CatBoost (Prokhorenkova et al. 2018), histogram splits as in LightGBM
(Ke et al. 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Bins = NDArray[np.int64]
MOST_BINS = 32
COLUMNS_A_TREE = 64


@dataclass(frozen=True)
class Tree:
    """`features[l] > bins[l]` gives bit l of the leaf."""

    features: tuple[int, ...]
    bins: tuple[int, ...]
    leaves: Matrix

    def leaf(self, binned: Bins) -> Bins:
        index = np.zeros(len(binned), dtype=np.int64)
        for level, (feature, cut) in enumerate(zip(self.features, self.bins)):
            index |= (binned[:, feature] > cut).astype(np.int64) << level
        return index

    def predict(self, binned: Bins) -> Matrix:
        return self.leaves[self.leaf(binned)]


class Boosting:
    """Weighted least squares: `fit(x, y, weight)` with x (rows, columns), then `predict(x)`, (rows,)."""

    def __init__(self, trees: int = 60, depth: int = 4, rate: float = 0.15, ridge: float = 1.0) -> None:
        self.count, self.depth, self.rate, self.ridge = trees, depth, rate, ridge
        self.base = 0.0
        self.trees: list[Tree] = []

    def fit(self, x: Matrix, y: Matrix, weight: Matrix) -> Boosting:
        self._columns = np.flatnonzero(np.ptp(x, axis=0) > 0)
        self._cuts = [_cuts(x[:, c]) for c in self._columns]
        binned, self.trees = self._bin(x), []
        self.base = float(np.average(y, weights=weight))
        residual = y - self.base
        rng = np.random.default_rng(0)
        for _ in range(self.count if len(self._columns) else 0):
            tree = self._grow(binned, _some(rng, binned.shape[1]), residual, weight)
            if not tree.features:
                break
            self.trees.append(tree)
            residual = residual - tree.predict(binned)
        return self

    def predict(self, x: Matrix) -> Matrix:
        binned = self._bin(x) if self.trees else np.zeros((len(x), 0), dtype=np.int64)
        return self.base + sum((tree.predict(binned) for tree in self.trees), np.zeros(len(x)))

    def _bin(self, x: Matrix) -> Bins:
        binned = [np.searchsorted(cuts, x[:, c]) for c, cuts in zip(self._columns, self._cuts)]
        return np.stack(binned, axis=1) if binned else np.zeros((len(x), 0), dtype=np.int64)

    def _grow(self, binned: Bins, columns: Bins, residual: Matrix, weight: Matrix) -> Tree:
        features: list[int] = []
        bins: list[int] = []
        leaf = np.zeros(len(binned), dtype=np.int64)
        for level in range(self.depth):
            place, cut, gain = self._split(binned[:, columns], leaf, 1 << level, residual, weight)
            if gain <= 1e-9:
                break
            feature = int(columns[place])
            features.append(feature)
            bins.append(cut)
            leaf |= (binned[:, feature] > cut).astype(np.int64) << level
        total = np.bincount(leaf, weight * residual, 1 << len(features))
        mass = np.bincount(leaf, weight, 1 << len(features))
        return Tree(tuple(features), tuple(bins), self.rate * total / (mass + self.ridge))

    def _split(
        self, binned: Bins, leaf: Bins, leaves: int, residual: Matrix, weight: Matrix
    ) -> tuple[int, int, float]:
        columns = binned.shape[1]
        cell = ((leaf[:, None] * columns + np.arange(columns)) * MOST_BINS + binned).ravel()
        shape = (leaves, columns, MOST_BINS)
        size = leaves * columns * MOST_BINS
        total = np.bincount(cell, np.repeat(weight * residual, columns), size).reshape(shape).cumsum(axis=2)
        mass = np.bincount(cell, np.repeat(weight, columns), size).reshape(shape).cumsum(axis=2)
        all_total, all_mass = total[:, :, -1:], mass[:, :, -1:]
        gain = total**2 / (mass + self.ridge) + (all_total - total) ** 2 / (all_mass - mass + self.ridge)
        gain = (gain - all_total**2 / (all_mass + self.ridge)).sum(axis=0)
        best = int(gain.argmax())
        return best // MOST_BINS, best % MOST_BINS, float(gain.flat[best])


def _some(rng: np.random.Generator, count: int) -> Bins:
    """The columns one tree may split on; a wide table's trees each see a part of it, which is quicker and generalises better."""
    return (
        np.arange(count)
        if count <= COLUMNS_A_TREE
        else np.sort(rng.choice(count, COLUMNS_A_TREE, replace=False))
    )


def _cuts(column: Matrix) -> Matrix:
    """At most MOST_BINS - 1 thresholds between neighbouring values, by quantile where there are more."""
    values = np.unique(column)
    between = (values[1:] + values[:-1]) / 2
    if len(between) < MOST_BINS:
        return between
    return np.unique(np.quantile(column, np.linspace(0, 1, MOST_BINS + 1)[1:-1]))
