"""Nets sorted for vector instructions, and their smoothed length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kerf.placement import orient
from kerf.placement.analytic import wirelength_kernels as kernels
from kerf.placement.analytic.options import GlobalOptions
from kerf.placement.analytic.region import Region
from kerf.placement.design import Design, Floats, Ints, Placement
from kerf.placement.rules import Rules

Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Wirelength:
    """Nets by degree. groups: (K, 4) degree, nets, first net, first pin; the first `pulled` of them pull, the rest (very large nets) are only
    measured. owner: (P,) object of each pin; offset_x, offset_y: (P,) in bins; weight: (M,). start, by_object: each object's pins in CSR form."""

    groups: Ints
    pulled: int
    owner: NDArray[np.int32]
    offset_x: Singles
    offset_y: Singles
    weight: Singles
    start: NDArray[np.int32]
    by_object: NDArray[np.int32]
    pull: Singles
    aspect: float

    @staticmethod
    def of(
        design: Design,
        placement: Placement,
        rules: Rules,
        options: GlobalOptions,
        region: Region,
        cells: Ints,
        objects: int,
    ) -> Wirelength:
        object_of = np.full(design.cells, objects)
        object_of[cells] = np.arange(len(cells))
        nets = _Nets.of(design, placement, rules, options, object_of, objects, region)
        return nets.sorted(options.largest_net, len(cells), region.aspect)

    def pin_weights(self, objects: int) -> Singles:
        """(objects,) sum of the weights of the nets that pull each object."""
        total = np.zeros(objects + 1)
        for degree, nets, net, pin in self.groups[: self.pulled]:
            weights = np.tile(self.weight[net : net + nets], degree)
            np.add.at(total, self.owner[pin : pin + degree * nets], weights)
        return total[:objects].astype(np.float32)

    def gradient(self, at: Singles, gamma: float, out: Singles) -> float:
        """Fill `out` (2, N or more) with the gradient for each movable object at (2, objects + 1); the exact length, in bins along x."""
        total = 0.0
        pulled, rest = self.groups[: self.pulled], self.groups[self.pulled :]
        for axis, offset, scale in ((0, self.offset_x, 1.0), (1, self.offset_y, self.aspect)):
            arrays = (self.owner, offset, self.weight, scale / gamma, self.pull)
            total += scale * kernels.weighted_average(at[axis], pulled, *arrays, True)
            total += scale * kernels.weighted_average(at[axis], rest, *arrays, False)
            kernels.gather(self.start, self.by_object, self.pull, scale, out[axis])
        return total


@dataclass(frozen=True)
class _Nets:
    """Nets with a pin that moves, in the design's order. start: (M + 1,)."""

    start: Ints
    owner: Ints
    x: Floats
    y: Floats
    weight: Floats

    @staticmethod
    def of(
        design: Design,
        placement: Placement,
        rules: Rules,
        options: GlobalOptions,
        object_of: Ints,
        still: int,
        region: Region,
    ) -> _Nets:
        weight = design.net_weight if options.net_weight is None else options.net_weight
        degree = np.diff(design.net_start)
        owner = object_of[design.pin_cell]
        turn = orient.MATRICES[placement.orient[design.pin_cell]]
        x = turn[:, 0, 0] * design.pin_x + turn[:, 0, 1] * design.pin_y
        y = turn[:, 1, 0] * design.pin_x + turn[:, 1, 1] * design.pin_y
        fixed = owner == still
        x = np.where(fixed, region.across(x + placement.x[design.pin_cell]), x / region.wide)
        y = np.where(fixed, region.along(y + placement.y[design.pin_cell]), y / region.high)
        net_of = np.repeat(np.arange(design.nets), degree)
        moves = np.bincount(net_of[~fixed], minlength=design.nets) > 0
        lost = np.bincount(net_of[~np.isfinite(x + y)], minlength=design.nets) > 0
        kept = moves & ~lost & (degree > 1) & (weight > 0)
        pins = kept[net_of]
        for group, _ in rules.pulls:
            degree = np.append(degree, len(group))
            kept = np.append(kept, len(group) > 1)
        pulls = [np.asarray(group, np.int64) for group, _ in rules.pulls if len(group) > 1]
        added = np.concatenate([np.empty(0, np.int64), *pulls])
        still_there = object_of[added] == still
        start = np.concatenate([[0], np.cumsum(degree[kept])])
        return _Nets(
            start=start,
            owner=np.concatenate([owner[pins], object_of[added]]),
            x=np.concatenate([x[pins], np.where(still_there, region.across(placement.x[added]), 0.0)]),
            y=np.concatenate([y[pins], np.where(still_there, region.along(placement.y[added]), 0.0)]),
            weight=np.concatenate(
                [weight[kept[: design.nets]], [w for group, w in rules.pulls if len(group) > 1]]
            ),
        )

    def sorted(self, largest: int, movable: int, aspect: float) -> Wirelength:
        """By degree, within it by first owner; pins transposed."""
        degree = np.diff(self.start)
        order = np.lexsort((self.owner[self.start[:-1]], degree)) if len(degree) else np.empty(0, np.int64)
        sizes, first = np.unique(degree[order], return_index=True)
        counts = np.diff(np.append(first, len(order)))
        first_pin = np.concatenate([[0], np.cumsum(sizes * counts)])[:-1]
        groups = np.stack([sizes, counts, first, first_pin], axis=1).astype(np.int64).reshape(-1, 4)
        parts = [
            (self.start[order[f : f + n]][None, :] + np.arange(d)[:, None]).ravel() for d, n, f, _ in groups
        ]
        pins = np.concatenate([np.empty(0, np.int64), *parts])
        owner = self.owner[pins].astype(np.int32)
        by_object = np.argsort(owner, kind="stable").astype(np.int32)
        start = np.searchsorted(owner[by_object], np.arange(movable + 1)).astype(np.int32)
        return Wirelength(
            groups=groups,
            pulled=int((sizes <= largest).sum()),
            owner=owner,
            offset_x=self.x[pins].astype(np.float32),
            offset_y=self.y[pins].astype(np.float32),
            weight=self.weight[order].astype(np.float32),
            start=start,
            by_object=by_object,
            pull=np.zeros(len(pins), np.float32),
            aspect=aspect,
        )
