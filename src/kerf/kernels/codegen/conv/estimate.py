"""Which algorithm to try first: a count of vector operations and of bytes that no cache holds."""

from __future__ import annotations

from math import prod

from kerf.kernels.codegen.conv import depthwise, winograd
from kerf.kernels.codegen.conv.geometry import Geometry
from kerf.kernels.targets.cpu import Chip

# Vector operations a transformed point costs on the way in or out, its loads and stores included.
_TRANSFORM = 15.0
# Vector operations in the time of a byte from memory.
_BYTE = 0.5
# How much Winograd must promise: it rounds more than the direct sum.
_MARGIN = 0.9


def default_algorithm(g: Geometry, chip: Chip, element: int) -> tuple[str, int]:
    """(algorithm, points of Winograd's tiles)."""
    sizes = winograd.sizes(g)
    best = min(sizes, key=lambda p: winograd_cost(g, p, chip, element), default=0)
    if depthwise.legal(g):
        return "depthwise", best
    if best and winograd_cost(g, best, chip, element) < _MARGIN * direct_cost(g, chip, element):
        return "winograd", best
    return "direct", best


def direct_cost(g: Geometry, chip: Chip, element: int) -> float:
    """Vector operations of the sums."""
    return 1.12 * g.flops / 2 * element / (chip.vector_bits / 8)


def winograd_cost(g: Geometry, points: int, chip: Chip, element: int) -> float:
    """Vector operations of the transforms and products, and the transformed weights where they overflow the last cache."""
    tiled = winograd.tile_geometry(g, points)
    places = g.batch * prod(tiled.outside)
    square = tiled.kernel[1] * tiled.kernel[2]
    depth = g.group_channels * g.kernel[0]
    products = 1.2 * places * square * depth * g.filters
    transforms = _TRANSFORM * places * square * (depth * g.groups + g.filters)
    weights = square * depth * g.filters * element
    spilled = weights if weights > 0.6 * chip.l3_bytes else 0
    return (products + transforms) * element / (chip.vector_bits / 8) + _BYTE * spilled
