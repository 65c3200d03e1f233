"""Complex numbers within a program, as pairs of real values: rotary embeddings are written with them.

What only moves elements is done to both parts by its own lowering; of arithmetic there is what rotations need. What
else is done with complex tensors (Fourier transforms, complex arguments and results) is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from kerf.core.types import KerfError
from kerf.kernels.ir import DType, Expr, apply, const_index
from kerf.kernels.lower.registry import LOWERINGS, Context
from kerf.kernels.lower.values import Indices, Value, constant
from kerf.kernels.lower.views import view

_PARTS = {torch.complex64: DType.F32, torch.complex128: DType.F64}


@dataclass(frozen=True, eq=False)
class Complex:
    """re + i im, of one shape and dtype."""

    re: Value
    im: Value


def part_type(dtype: torch.dtype) -> DType | None:
    """The type of the two parts; None where `dtype` is not complex."""
    return _PARTS.get(dtype)


def of_pairs(x: Value) -> Complex:
    """x[..., 0] + i x[..., 1]."""
    parts = (view(x, x.shape[:-1], lambda i, k=k: (*i, const_index(k))) for k in (0, 1))  # type: ignore[misc]
    return Complex(*parts)


def pairs_of(c: Context, x: Complex) -> Value:
    """The inverse: a last dimension of 2."""

    def at(index: Indices) -> Expr:
        re, im = x.re.at(index[:-1]), x.im.at(index[:-1])
        return apply("select", apply("eq", index[-1], const_index(0)), re, im, dtype=re.dtype)

    return Value((*x.re.shape, 2), x.re.dtype, at, hint=c.builder.hint)


def lowered(c: Context, args: Any, kwargs: dict[str, Any]) -> Any:
    """A node that takes or makes complex tensors."""
    target = str(c.node.target)
    if target in _RULES:
        return _RULES[target](c, *args)
    if target.split(".")[1] not in _MOVES:
        raise KerfError(
            f"complex tensors: there is no {target} of them here. Complex numbers are followed from view_as_complex, polar or a buffer through "
            "products and sums to view_as_real; write the rest with real tensors, or optimize a submodule without it."
        )
    parts = [_moved(c, target, args, kwargs, k) for k in ("re", "im")]
    return [Complex(*p) for p in zip(*parts)] if isinstance(parts[0], list) else Complex(*parts)


_MOVES = frozenset(
    [
        "view", "reshape", "_unsafe_view", "unsqueeze", "squeeze", "expand", "permute", "transpose",
        "t", "slice", "select", "narrow", "flatten", "clone", "contiguous", "alias",
        "index", "index_select", "cat", "stack", "split", "chunk", "split_with_sizes", "unbind",
        "repeat", "repeat_interleave", "roll", "flip", "embedding", "gather",
    ]
)  # fmt: skip


def _moved(c: Context, target: str, args: Any, kwargs: dict[str, Any], part: str) -> Any:
    def one(x: Any) -> Any:
        if isinstance(x, list | tuple):
            return type(x)(one(item) for item in x)
        return getattr(x, part) if isinstance(x, Complex) else x

    rule = LOWERINGS.get(target)
    if rule is None:
        raise KerfError(f"complex tensors: there is no {target} of them here; write it with real tensors.")
    return rule(c, *one(args), **{k: v for k, v in kwargs.items() if k == "dim"})


def _complex(c: Context, x: Any) -> Complex:
    if isinstance(x, Complex):
        return x
    if isinstance(x, complex):
        return Complex(constant(x.real, c.dtype), constant(x.imag, c.dtype))
    return Complex(c.value(x), constant(0, c.dtype))


def _times(c: Context, a: Any, b: Any) -> Complex:
    if not isinstance(b, Complex | complex):
        a, b = b, a
    if not isinstance(a, Complex | complex):  # a real factor
        b = _complex(c, b)
        return Complex(_of("mul", c, a, b.re), _of("mul", c, a, b.im))
    a, b = _complex(c, a), _complex(c, b)
    re = c.pointwise(lambda w, x, y, z: _two("sub", w, x, y, z), a.re, b.re, a.im, b.im)
    im = c.pointwise(lambda w, x, y, z: _two("add", w, x, y, z), a.re, b.im, a.im, b.re)
    return Complex(re, im)


def _two(op: str, w: Expr, x: Expr, y: Expr, z: Expr) -> Expr:
    return apply(op, apply("mul", w, x), apply("mul", y, z))


def _of(op: str, c: Context, *args: Any) -> Value:
    return c.pointwise(lambda *e: apply(op, *e), *args)


def _by_part(op: str) -> Callable[..., Complex]:
    def rule(c: Context, *args: Any) -> Complex:
        given = [_complex(c, a) for a in args]
        return Complex(_of(op, c, *(g.re for g in given)), _of(op, c, *(g.im for g in given)))

    return rule


def _over(c: Context, a: Complex, b: Any) -> Complex:
    if isinstance(b, Complex | complex) or not isinstance(a, Complex):
        raise KerfError(
            "complex tensors: there is no division by complex numbers here; write it with real tensors."
        )
    return Complex(_of("div", c, a.re, b), _of("div", c, a.im, b))


def _polar(c: Context, size: Value, angle: Value) -> Complex:
    parts = (c.pointwise(lambda r, a, f=f: apply("mul", r, apply(f, a)), size, angle) for f in ("cos", "sin"))  # type: ignore[misc]
    return Complex(*parts)


_RULES: dict[str, Callable[..., Any]] = {
    "aten.view_as_complex.default": lambda c, x: of_pairs(x),
    "aten.view_as_real.default": pairs_of,
    "aten.real.default": lambda c, x: x.re,
    "aten.imag.default": lambda c, x: x.im,
    "aten.complex.default": lambda c, re, im: Complex(re, im),
    "aten.polar.default": _polar,
    "aten.mul.Tensor": _times,
    "aten.mul.Scalar": _times,
    "aten.div.Tensor": _over,
    "aten.add.Tensor": _by_part("add"),
    "aten.sub.Tensor": _by_part("sub"),
    "aten.neg.default": _by_part("neg"),
    "aten._conj.default": lambda c, x: Complex(x.re, _of("neg", c, x.im)),
    "aten.conj_physical.default": lambda c, x: Complex(x.re, _of("neg", c, x.im)),
}
