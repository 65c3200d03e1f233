"""Which algorithm to try first: a count of vector operations and of bytes that no cache holds."""

from __future__ import annotations

from math import inf, prod

from kerf.kernels.codegen.conv import amx, depthwise
from kerf.kernels.codegen.conv.filtering import Filtering, filterings, products
from kerf.kernels.codegen.conv.geometry import Geometry
from kerf.kernels.targets.cpu import Chip

# Vector operations a transformed point costs on the way in or out, its loads and stores included.
_TRANSFORM = 15.0
# Vector operations a product costs where a tile's transformed inputs do not stay in the second cache.
_CROWDED = 1.5
# Vector operations in the time of a byte from memory.
_BYTE = 0.5
# How much Winograd must promise: it rounds more than the direct sum.
_MARGIN = 0.9
# What the count for Winograd leaves out, where it is compared with matrix registers and not with the direct sum alone.
_LEFT_OUT = 1.6
# How many ways to cut are offered.
_OFFERED = 6


def default_algorithm(g: Geometry, chip: Chip, element: int, registers: bool = False) -> str:
    """`registers`: may matrix registers be used?"""
    if depthwise.legal(g) and not _many_filters(g):
        return "depthwise"
    best = min((winograd_cost(g, f, chip, element) for f in filterings(g)), default=inf)
    direct = direct_cost(g, chip, element)
    results = g.batch * g.filters * g.out_plane
    if registers and amx.cost(g) < min(_LEFT_OUT * best, direct + results):
        return "amx"
    return "winograd" if best < _MARGIN * direct else "direct"


def _many_filters(g: Geometry) -> bool:
    """Do enough filters read one channel that registers hold sums of several, for each value read? Rows that slide over a kernel of one row
    share nothing (measured: 80 filters of 251 taps 3.5 times, 2 of 64 taps 1.4 times as fast together; 6 of 5 x 5 slower)."""
    return g.groups == 1 and g.filters >= (2 if g.kernel[1] == 1 else 16)


def ranked(g: Geometry, chip: Chip, element: int) -> list[Filtering]:
    """The cheapest ways to cut the convolution into minimal filters, best first."""
    return sorted(filterings(g), key=lambda f: winograd_cost(g, f, chip, element))[:_OFFERED]


def direct_cost(g: Geometry, chip: Chip, element: int) -> float:
    """Vector operations of the sums, those of padding included."""
    places = g.batch * prod(g.quotient) * sum(len(p.taps) for p in g.phases)
    return 1.12 * places * g.group_channels * g.filters * element / (chip.vector_bits / 8)


def winograd_cost(g: Geometry, f: Filtering, chip: Chip, element: int) -> float:
    """Vector operations of the transforms and products, and the transformed weights where they overflow the last cache."""
    places, depth = products(g, f)
    crowded = f.points * depth * 3 * chip.vector_bits / 8 > 0.7 * chip.l2_bytes
    sums = (_CROWDED if crowded else 1.2) * places * depth * g.filters
    transforms = _TRANSFORM * places * (depth * g.groups + g.filters)
    weights = f.points * depth * g.filters * element
    spilled = weights if weights > 0.6 * chip.l3_bytes else 0
    return (sums + transforms) * element / (chip.vector_bits / 8) + _BYTE * spilled
