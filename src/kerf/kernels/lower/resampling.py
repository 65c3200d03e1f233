"""Enlarging and shrinking: nearest neighbours, and linear interpolation in 1 to 3 dimensions, as torch places the samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kerf.kernels.ir import Const, DType, Expr, apply, const_index
from kerf.kernels.lower.activations import add, mul
from kerf.kernels.lower.pointwise import num
from kerf.kernels.lower.registry import Context, cast, lowers
from kerf.kernels.lower.values import Indices, Value
from kerf.kernels.lower.views import view


def _scales(args: Sequence[Any], vec: bool, n: int) -> list[float | None]:
    """The scale factors a user gave, one a dimension; None where sizes were given."""
    given = (args[0] if args else None) if vec else args
    return list(given) if given is not None and len(given) == n else [None] * n


def _step(given: float | None, old: int, new: int) -> float:
    """How far apart samples lie, in elements of what is sampled."""
    return 1.0 / given if given else old / new


@lowers("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")
@lowers("upsample_nearest1d.vec", "upsample_nearest2d.vec", "upsample_nearest3d.vec")
def _nearest(c: Context, x: Value, _size: Any = None, *scales: Any) -> Value:
    """Sample i is the element at floor(i * step); a whole factor needs no rounding."""
    n = len(c.shape) - 2
    given, kind = _scales(scales, ".vec" in str(c.node.target), n), _coordinate_type(x)

    def source(i: Expr, d: int) -> Expr:
        old, new = x.shape[d + 2], c.shape[d + 2]
        step = _step(given[d], old, new)
        if step == old / new and new % old == 0:
            return apply("floordiv", i, const_index(new // old)) if new != old else i
        place = cast(mul(cast(i, kind), step), DType.I64)
        return apply("min", place, const_index(old - 1))

    return view(x, c.shape, lambda i: (*i[:2], *(source(e, d) for d, e in enumerate(i[2:]))))


def _coordinate_type(x: Value) -> DType:
    return DType.F64 if x.dtype is DType.F64 else DType.F32


@dataclass(frozen=True)
class _Line:
    """Samples along one dimension. `corners`: samples fall on the first and the last element (torch's align_corners)."""

    old: int
    new: int
    corners: bool
    given: float | None
    kind: DType

    def between(self, i: Expr) -> tuple[Expr, Expr, Expr]:
        """The element at or before sample i, the one after it, and the share of the latter."""
        place = self._place(cast(i, self.kind))
        first = cast(place, DType.I64)
        second = apply("min", apply("add", first, const_index(1)), const_index(self.old - 1))
        return first, second, apply("sub", place, cast(first, self.kind))

    def _place(self, i: Expr) -> Expr:
        if self.corners:
            place = mul(i, (self.old - 1) / (self.new - 1) if self.new > 1 else 0.0)
        else:
            place = add(mul(add(i, 0.5), _step(self.given, self.old, self.new)), -0.5)
        return apply(
            "max", place, num(0, place)
        )  # with corners too: gcc 12 vectorizes the conversion of what is not negative


@lowers("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d")
@lowers("upsample_linear1d.vec", "upsample_bilinear2d.vec", "upsample_trilinear3d.vec")
def _linear(c: Context, x: Value, _size: Any, corners: bool, *scales: Any) -> Value:
    n = len(c.shape) - 2
    x = c.builder.reusable(x)
    given = _scales(scales, ".vec" in str(c.node.target), n)
    kind = _coordinate_type(x)
    lines = [_Line(x.shape[d + 2], c.shape[d + 2], corners, given[d], kind) for d in range(n)]

    def among(done: Indices, left: Indices) -> Expr:
        if not left:
            return cast(x.at(done), kind)
        line = lines[n - len(left)]
        if line.old == line.new:
            return among((*done, left[0]), left[1:])
        first, second, share = line.between(left[0])
        a, b = (among((*done, at), left[1:]) for at in (first, second))
        rest = apply("sub", Const(1.0, kind), share)
        return apply("add", apply("mul", rest, a), apply("mul", share, b))

    return Value(c.shape, x.dtype, lambda i: among(i[:2], i[2:]), hint=c.builder.hint)
