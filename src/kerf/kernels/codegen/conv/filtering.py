"""How a convolution is cut into minimal filters: per dimension, tiles of outputs and pieces of the kernel.

A minimal filter computes `outputs` neighbouring results of a short run of taps at stride one. A longer kernel is a sum of such runs, and so is
a strided one (its taps fall into phases of the input, in each of which neighbouring outputs read neighbouring elements): every
piece of kernel is a further addend before the way back, like a further channel. A dimension may also be left as it is:
then each tap is a piece of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import prod

from kerf.kernels.codegen.conv.geometry import Geometry

# Points of a tile in a transformed dimension. More than six would cost too much accuracy in float32.
_POINTS = (4, 6)


@dataclass(frozen=True)
class Piece:
    """Neighbouring taps. `start`: the input element that the first reads for a tile's first output, from the first of the
    whole kernel; `taps`: kernel indices, -1 for none."""

    start: int
    taps: tuple[int, ...]


@dataclass(frozen=True)
class Side:
    """One dimension: F(outputs, taps) on each piece; `step`: input elements between neighbouring outputs."""

    outputs: int
    taps: int
    step: int
    pieces: tuple[Piece, ...]

    @property
    def points(self) -> int:
        return self.outputs + self.taps - 1

    @property
    def extent(self) -> int:
        """Input elements from the first to the last that a tile reads."""
        return max(p.start for p in self.pieces) + self.step * (self.points - 1) + 1


@dataclass(frozen=True)
class Filtering:
    height: Side
    width: Side

    def __str__(self) -> str:
        h, w = (f"F({s.outputs},{s.taps})" for s in (self.height, self.width))
        return f"{h}x{w}"

    @property
    def points(self) -> int:
        return self.height.points * self.width.points

    @property
    def pieces(self) -> int:
        return len(self.height.pieces) * len(self.width.pieces)


def filterings(g: Geometry) -> tuple[Filtering, ...]:
    """Those that apply: any forward convolution, and transposed ones that are forward ones in disguise."""
    if g.transposed and g.stride != (1, 1, 1):
        return ()
    found = []
    for points in _POINTS:
        sides = [_sides(*a, points) for a in zip(g.kernel[1:], g.stride[1:], g.dilation[1:], strict=True)]
        found += [Filtering(h, w) for h, w in product(*sides) if h.points * w.points > 1]
    return tuple(found)


def named(g: Geometry, name: str) -> Filtering:
    return next(f for f in filterings(g) if str(f) == name)


def _sides(kernel: int, stride: int, dilation: int, points: int) -> list[Side]:
    """The dimension as it is, and every run of taps that leaves at least two outputs."""
    longest = 1 if dilation > 1 else -(-kernel // stride)
    taps = range(2, min(longest, points - 1) + 1)
    options = [(1, 1), *((points - r + 1, r) for r in taps)]
    return [Side(m, r, stride, _pieces(kernel, stride, dilation, r)) for m, r in options]


def _pieces(kernel: int, stride: int, dilation: int, length: int) -> tuple[Piece, ...]:
    at = {t * dilation: t for t in range(kernel)}
    pieces: list[Piece] = []
    for phase in range(stride):
        left = [i for i in at if i % stride == phase]
        while left:
            reads = [left[0] + j * stride for j in range(length)]
            pieces.append(Piece(left[0], tuple(at.get(i, -1) for i in reads)))
            left = [i for i in left if i not in reads]
    return tuple(pieces)


def forward(g: Geometry) -> Geometry:
    """A stride-1 transposed convolution as the correlation with the mirrored kernel that it is."""
    if not g.transposed:
        return g
    d, h, w = (dil * (k - 1) - p for dil, k, p in zip(g.dilation, g.kernel, g.padding, strict=True))
    return replace(g, transposed=False, padding=(d, h, w))


def tile_geometry(g: Geometry, f: Filtering) -> Geometry:
    """Tiles as the outputs of a convolution that reads all inputs of a tile."""
    g, sides = forward(g), (f.height, f.width)
    eh, ew = (s.extent for s in sides)
    sh, sw = (s.outputs * s.step for s in sides)
    oh, ow = (-(-e // s.outputs) for e, s in zip(g.outside[1:], sides, strict=True))
    return replace(
        g,
        kernel=(g.kernel[0], eh, ew),
        stride=(g.stride[0], sh, sw),
        dilation=(g.dilation[0], 1, 1),
        outside=(g.outside[0], oh, ow),
    )


def tile_sites(g: Geometry, f: Filtering) -> list[int]:
    """Which of the sites of the tiles' geometry each point reads, as [depth][piece][point]."""
    h, w = f.height, f.width
    points = list(product(range(h.points), range(w.points)))
    return [
        (depth * h.extent + row.start + h.step * i) * w.extent + column.start + w.step * j
        for depth in range(g.kernel[0])
        for row, column in product(h.pieces, w.pieces)
        for i, j in points
    ]


def products(g: Geometry, f: Filtering) -> tuple[int, int]:
    """Points of all tiles, and products summed in each for one filter."""
    places = g.batch * prod(tile_geometry(g, f).outside) * f.points
    return places, g.group_channels * g.kernel[0] * f.pieces
