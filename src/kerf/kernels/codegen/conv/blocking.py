"""How much of the output is done at a time: a block of output positions whose input (with halo) fits in a cache."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from kerf.kernels.codegen.conv.geometry import Geometry

Quad = tuple[int, int, int, int]


@dataclass(frozen=True)
class Blocking:
    """`extent`: positions (batch, d, h, w) of all phases; `block`: of one block; `parts`: pieces the filters are cut into for
    parallelism, each of which fills its own band."""

    extent: Quad
    block: Quad
    reach: Quad
    parts: int = 1

    @property
    def counts(self) -> Quad:
        b, d, h, w = (-(-e // s) for e, s in zip(self.extent, self.block, strict=True))
        return b, d, h, w

    @property
    def lengths(self) -> Quad:
        """Input elements a block reads, per dimension."""
        b, d, h, w = (s + r for s, r in zip(self.block, self.reach, strict=True))
        return b, d, h, w

    @property
    def pitches(self) -> Quad:
        _, ld, lh, lw = self.lengths
        return ld * lh * lw, lh * lw, lw, 1

    @property
    def plane(self) -> int:
        """Elements of one channel and input phase in the band."""
        return prod(self.lengths)

    @property
    def narrowest(self) -> int:
        """Width of the last, ragged block."""
        return self.extent[3] - (self.counts[3] - 1) * self.block[3]


def choose(g: Geometry, budget: int, element: int, tile: int, threads: int, batches: bool) -> Blocking:
    """The largest block whose band stays within `budget` bytes, cut further until every thread has several."""
    extent: Quad = (g.batch, *g.quotient)
    reach: Quad = (0, *g.reach)
    phases = prod(len(u) for u in g.used)
    each = g.group_channels * phases * element
    block = [
        1,
        1,
        1,
        min(extent[3], max(4 * tile, _within(budget // each, reach, 3, [1, 1, 1, 1]) // tile * tile)),
    ]
    for axis in (2, 1, *((0,) if batches else ())):
        block[axis] = max(1, min(extent[axis], _within(budget // each, reach, axis, block)))
        if block[axis] < extent[axis]:
            break
    return _balanced(
        Blocking(extent, (block[0], block[1], block[2], block[3]), reach), g.groups, threads, 4 * tile
    )


def _within(elements: int, reach: Quad, axis: int, block: list[int]) -> int:
    """The extent along `axis` that keeps the block's input within `elements`."""
    others = prod(block[i] + reach[i] for i in range(4) if i != axis)
    return elements // max(others, 1) - reach[axis]


def _balanced(b: Blocking, groups: int, threads: int, least: int) -> Blocking:
    """Equal blocks; with several threads at least four tasks each, by smaller blocks (not below `least` positions), then by
    parts of the filters."""
    d, h = (-(-e // n) for e, n in zip(b.extent[1:3], b.counts[1:3], strict=True))
    block = [-(-b.extent[0] // b.counts[0]), d, h, b.block[3]]
    wanted = 1 if threads == 1 else 4 * threads
    for axis in (0, 1, 2):
        pieces = min(-(-wanted // _tasks(b.extent, block, groups)), block[axis], max(prod(block) // least, 1))
        block[axis] = -(-block[axis] // pieces)
    tasks = _tasks(b.extent, block, groups)
    parts = 1 if threads == 1 or tasks >= 2 * threads else -(-2 * threads // tasks)
    return Blocking(b.extent, (block[0], block[1], block[2], block[3]), b.reach, parts)


def _tasks(extent: Quad, block: list[int], groups: int) -> int:
    return groups * prod(-(-e // s) for e, s in zip(extent, block, strict=True))
