"""The small matrices of Winograd's minimal filtering algorithms, exact.

F(m, r): m outputs of an r-tap correlation from m + r - 1 multiplications, y = A [(G w) * (B x)]. The construction is Cook and Toom's
with one point at infinity, transposed (Winograd, "Arithmetic complexity of computations", 1980; for networks Lavin and
Gray, "Fast algorithms for convolutional neural networks", 2016). The points decide the rounding error; these are
small and come in pairs whose sums are shared (Barabasz et al., "Error analysis and improving the accuracy of Winograd
convolution for deep neural networks", 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

Matrix = tuple[tuple[Fraction, ...], ...]

# For four points, and for six: among pairs p, -p and 1/p, -1/p these err least on inputs with isolated large values, where a
# tile's rounding is that of its largest element (less than half of what 0, 1, -1, 1/2, -2 gives).
_POINTS = {4: "0 1 -1", 6: "0 3/4 -3/4 4/3 -4/3"}
_OTHERS = "0 1 -1 1/2 -2 2 -1/2"


@dataclass(frozen=True)
class Transform:
    """`data` (a x a) is applied to inputs, `weight` (a x r) to weights, `output` (m x a) to products; a = m + r - 1."""

    outputs: int
    taps: int
    data: Matrix
    weight: Matrix
    output: Matrix

    @property
    def points(self) -> int:
        return self.outputs + self.taps - 1


@cache
def transform(outputs: int, taps: int, points: tuple[Fraction, ...] | None = None) -> Transform:
    """F(outputs, taps)."""
    size = outputs + taps - 1
    p = points or tuple(Fraction(x) for x in _POINTS.get(size, _OTHERS).split()[: size - 1])
    data = [_polynomial([q for q in p if q != x], size) for x in p] + [_polynomial(list(p), size)]
    norms = [_product([x - q for q in p if q != x]) for x in p]
    weight = [[x**k / n for k in range(taps)] for x, n in zip(p, norms, strict=True)] + [_unit(taps)]
    output = [[*(x**i for x in p), Fraction(int(i == outputs - 1))] for i in range(outputs)]
    scales = [_scale(row) for row in data]
    return Transform(
        outputs,
        taps,
        tuple(tuple(s * c for c in row) for s, row in zip(scales, data, strict=True)),
        tuple(tuple(c / s for c in row) for s, row in zip(scales, weight, strict=True)),
        tuple(tuple(row) for row in output),
    )


def _scale(row: list[Fraction]) -> Fraction:
    """The power of two that brings the row's largest coefficient next to one: exact in floating point."""
    scale, largest = Fraction(1), max(abs(c) for c in row)
    while largest * scale > Fraction(3, 2):
        scale /= 2
    while largest * scale <= Fraction(3, 4):
        scale *= 2
    return scale


def _unit(size: int) -> list[Fraction]:
    return [Fraction(0)] * (size - 1) + [Fraction(1)]


def _product(values: list[Fraction]) -> Fraction:
    out = Fraction(1)
    for v in values:
        out *= v
    return out


def _polynomial(roots: list[Fraction], size: int) -> list[Fraction]:
    """Coefficients, lowest first, of the monic polynomial with these roots, padded to `size`."""
    out = [Fraction(1)]
    for root in roots:
        out = [a - root * b for a, b in zip([Fraction(0), *out], [*out, Fraction(0)], strict=True)]
    return out + [Fraction(0)] * (size - len(out))
