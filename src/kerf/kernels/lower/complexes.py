"""Complex numbers within a program, as pairs of real values: what is around Fourier transforms, rotary embeddings, filters.

What only moves or adds elements is done to both parts by its own lowering; arithmetic is written out; products are products of real
matrices (complex_products.py). The rest, transforms first of all (fourier.py), are calls into PyTorch on pairs seen as complex tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kerf.kernels.ir import Apply, DType, Expr, apply
from kerf.kernels.lower.complex_products import PRODUCTS
from kerf.kernels.lower.complex_values import Complex, of_pairs, pairs_of, product_sum, times
from kerf.kernels.lower.fourier import TRANSFORMS
from kerf.kernels.lower.library import keep
from kerf.kernels.lower.pointwise import num, truth
from kerf.kernels.lower.registry import ABOUT_STORAGE, LOWERINGS, Context
from kerf.kernels.lower.values import Value, constant
from kerf.kernels.lower.views import expanded

Rule = Callable[..., Any]


def lowered(c: Context, args: Any, kwargs: dict[str, Any]) -> Any:
    """A node that takes or makes complex tensors."""
    target = str(c.node.target)
    rule = _RULES.get(target)
    if rule is None and target.split(".")[1] in _BY_PART and target in LOWERINGS:
        rule = _each_part
    if rule is not None:
        try:
            return rule(c, *args, **{k: v for k, v in kwargs.items() if k not in ABOUT_STORAGE})
        except LookupError as reason:  # a case that the rule does not cover
            if isinstance(reason, KeyError | IndexError):
                raise
    return keep(c, args, kwargs)


# What moves elements, and what is linear in them with real factors.
_BY_PART = frozenset(
    [
        "view", "reshape", "_unsafe_view", "_reshape_alias", "flatten", "unflatten", "unsqueeze", "squeeze", "expand", "permute", "transpose",
        "t", "movedim", "slice", "select", "narrow", "clone", "contiguous", "alias", "detach", "lift_fresh_copy", "broadcast_tensors",
        "split", "chunk", "split_with_sizes", "tensor_split", "unbind", "unfold", "as_strided", "diagonal", "diagonal_copy", "diag_embed",
        "repeat", "tile", "repeat_interleave", "roll", "flip", "index", "index_select", "embedding", "gather", "take", "triu", "tril",
        "sum", "mean", "cumsum",
    ]
)  # fmt: skip


def _each_part(c: Context, *args: Any, **kwargs: Any) -> Any:
    rule = LOWERINGS[str(c.node.target)]
    parts = [rule(c, *_only(args, part), **_only(kwargs, part)) for part in ("re", "im")]
    return [Complex(*p) for p in zip(*parts)] if isinstance(parts[0], list) else Complex(*parts)


def _only(x: Any, part: str) -> Any:
    if isinstance(x, list | tuple):
        return type(x)(_only(item, part) for item in x)
    if isinstance(x, dict):
        return {k: _only(v, part) for k, v in x.items()}
    return getattr(x, part) if isinstance(x, Complex) else x


def _data_first(count: int) -> Rule:
    """By part, where the first `count` arguments (or a list in the place of the first) are data, real ones among them."""

    def rule(c: Context, *args: Any, **kwargs: Any) -> Any:
        data = [
            [as_complex(c, x) for x in a] if isinstance(a, list | tuple) else as_complex(c, a)
            for a in args[:count]
        ]
        return _each_part(c, *data, *args[count:], **kwargs)

    return rule


def _scattered(c: Context, x: Any, where: Any, source: Any, *rest: Any, **kwargs: Any) -> Any:
    return _each_part(c, as_complex(c, x), where, as_complex(c, source), *rest, **kwargs)


def _index_copied(c: Context, x: Any, dim: int, places: Value, source: Any) -> Any:
    return _each_part(c, as_complex(c, x), dim, places, as_complex(c, source))


def _chosen(c: Context, cond: Value, a: Any, b: Any) -> Any:
    return _each_part(c, cond, as_complex(c, a), as_complex(c, b))


def _filled(c: Context, x: Any, mask: Value, value: Any) -> Any:
    return Complex(*(LOWERINGS["aten.where.self"](c, mask, _only(as_complex(c, value), p), getattr(x, p)) for p in ("re", "im")))  # fmt: skip


def _padded(c: Context, x: Complex, pad: Any, *rest: Any, **kwargs: Any) -> Any:
    value = kwargs.pop("value", None) or next((r for r in rest if not isinstance(r, str)), None) or 0
    if value:
        raise LookupError("padding with something else than zeros")
    return _each_part(c, x, pad, *(r for r in rest if isinstance(r, str)), **kwargs)


# ---------------------------------------------------------------- made


def as_complex(c: Context, x: Any) -> Complex:
    if isinstance(x, Complex):
        return x
    kind = c.dtype if c.dtype.is_float else DType.F32
    if isinstance(x, complex):
        return Complex(constant(x.real, kind), constant(x.imag, kind))
    x = c.converted(c.value(x), kind)
    return Complex(x, constant(0, kind, x.shape))


def _converted(c: Context, x: Value | Complex, *_: Any, **__: Any) -> Value | Complex:
    if not c.makes_complex:
        assert isinstance(x, Complex)
        return c.converted(x.re, c.dtype)
    x = as_complex(c, x)
    return x.mapped(lambda part: c.converted(part, c.dtype))


def _constant(of: Callable[..., complex]) -> Rule:
    def rule(c: Context, *args: Any, **_: Any) -> Complex:
        value = complex(of(*args))
        return Complex(constant(value.real, c.dtype, c.shape), constant(value.imag, c.dtype, c.shape))

    return rule


def _copied(c: Context, x: Any, source: Any, *_: Any) -> Complex:
    return as_complex(c, source).mapped(lambda part: expanded(c, part, c.shape))


# ---------------------------------------------------------------- arithmetic


def _times(c: Context, a: Any, b: Any) -> Complex:
    if not isinstance(b, Complex | complex):
        a, b = b, a
    if not isinstance(a, Complex | complex):  # a real factor
        b = as_complex(c, b)
        return b.mapped(lambda part: _of("mul", c, a, part))
    return times(c, as_complex(c, a), as_complex(c, b))


def _of(op: str, c: Context, *args: Any) -> Value:
    return c.pointwise(lambda *e: apply(op, *e), *args)


def _summed(op: str) -> Rule:
    def rule(c: Context, a: Any, b: Any, alpha: Any = 1) -> Complex:
        b = as_complex(c, b) if alpha == 1 else _times(c, as_complex(c, b), alpha)
        a = as_complex(c, a)
        return Complex(_of(op, c, a.re, b.re), _of(op, c, a.im, b.im))

    return rule


def _negated(c: Context, x: Complex) -> Complex:
    return x.mapped(lambda part: _of("neg", c, part))


def _conjugate(c: Context, x: Complex) -> Complex:
    return Complex(x.re, _of("neg", c, x.im))


def _over(c: Context, a: Any, b: Any) -> Complex:
    a = as_complex(c, a)
    if not isinstance(b, Complex | complex):
        return a.mapped(lambda part: _of("div", c, part, b))
    over = _reciprocal(c, as_complex(c, b))
    return times(c, a, over)


def _reciprocal(c: Context, b: Complex) -> Complex:
    """conj(b) / |b|^2, with both parts scaled by the larger, so that no square leaves the range of floats (R. L. Smith, 1962)."""

    def part(mine: Expr, re: Expr, im: Expr) -> Expr:
        size = apply("max", apply("abs", re), apply("abs", im))
        p, q = (apply("div", e, size) for e in (re, im))
        return apply("div", apply("div", mine, size), apply("mul", size, product_sum("add", p, p, q, q)))

    return Complex(
        c.pointwise(lambda x, y: part(x, x, y), b.re, b.im),
        c.pointwise(lambda x, y: part(apply("neg", y), x, y), b.re, b.im),
    )


def _power(c: Context, x: Complex, p: Any) -> Complex:
    if p == 2:
        return times(c, x, x)
    if p == -1:
        return _reciprocal(c, x)
    raise LookupError("other powers")


# ---------------------------------------------------------------- size and direction


def norm(re: Expr, im: Expr) -> Expr:
    """|z|^2"""
    return product_sum("add", re, re, im, im)


def size(c: Context, x: Complex) -> Value:
    """|z|: plain, so that a square after it takes the root away; of parts beyond 1e19 or below 1e-19 in float32 it is infinity or 0."""
    return c.pointwise(lambda re, im: apply("sqrt", norm(re, im)), x.re, x.im)


def _angle(c: Context, x: Complex) -> Value:
    return c.pointwise(lambda re, im: apply("atan2", im, re), x.re, x.im)


def _direction(f: str, angle: Expr) -> Expr:
    """cos or sin of an angle; of that of a complex number, the part of its direction."""
    if not isinstance(angle, Apply) or angle.op != "atan2":
        return apply(f, angle)
    im, re = angle.args
    square = norm(re, im)
    here = apply("mul", re if f == "cos" else im, apply("rsqrt", square))
    nowhere = num(1 if f == "cos" else 0, re)
    return apply("select", apply("gt", square, num(0, square)), here, nowhere, dtype=here.dtype)


def _polar(c: Context, r: Value, angle: Value) -> Complex:
    def part(f: str) -> Value:
        return c.pointwise(lambda r, a: apply("mul", r, _direction(f, a)), r, angle)

    return Complex(part("cos"), part("sin"))


def _exp(c: Context, x: Complex) -> Complex:
    if x.re.constant == 0:
        return _polar(c, constant(1, x.im.dtype), x.im)
    return _polar(c, _of("exp", c, x.re), x.im)


def _log(c: Context, x: Complex) -> Complex:
    def half(re: Expr, im: Expr) -> Expr:
        square = norm(re, im)
        return apply("mul", apply("log", square), num(0.5, square))

    return Complex(c.pointwise(half, x.re, x.im), _angle(c, x))


def _sign(c: Context, x: Complex) -> Complex:
    def part(mine: Expr, re: Expr, im: Expr) -> Expr:
        square = norm(re, im)
        here = apply("mul", mine, apply("rsqrt", square))
        return apply("select", apply("gt", square, num(0, square)), here, num(0, mine), dtype=here.dtype)

    return Complex(
        c.pointwise(lambda x, y: part(x, x, y), x.re, x.im),
        c.pointwise(lambda x, y: part(y, x, y), x.re, x.im),
    )


def _of_size(c: Context, x: Complex, *args: Any, **kwargs: Any) -> Value:
    """Norms of complex numbers are those of their sizes."""
    rule = LOWERINGS[str(c.node.target)]
    return rule(c, size(c, x), *args, **kwargs)  # type: ignore[no-any-return]


def _compared(op: str, both: str) -> Rule:
    def rule(c: Context, a: Any, b: Any) -> Value:
        a, b = (as_complex(c, x) for x in (a, b))
        first, second = (
            c.pointwise(lambda x, y: apply(op, x, y), _only(a, p), _only(b, p), compute=a.re.dtype)
            for p in ("re", "im")
        )
        return c.builder.pointwise(lambda x, y: apply(both, truth(x), truth(y)), [first, second], DType.BOOL)

    return rule


def _kept(c: Context, x: Complex) -> Complex:
    return x


_RULES: dict[str, Rule] = {
    "aten.view_as_complex.default": lambda c, x: of_pairs(x),
    "aten.view_as_real.default": lambda c, x: pairs_of(x, c.builder.hint),
    "aten.real.default": lambda c, x: x.re,
    "aten.imag.default": lambda c, x: x.im,
    "aten.complex.default": lambda c, re, im: Complex(re, im),
    "aten.polar.default": _polar,
    "aten.resolve_conj.default": _kept,
    "aten.resolve_neg.default": _kept,
    "aten._conj.default": _conjugate,
    "aten._conj_physical.default": _conjugate,
    "aten.conj_physical.default": _conjugate,
    "aten.abs.default": size,
    "aten.angle.default": _angle,
    "aten.exp.default": _exp,
    "aten.log.default": _log,
    "aten.sgn.default": _sign,
    "aten.square.default": lambda c, x: times(c, x, x),
    "aten.pow.Tensor_Scalar": _power,
    "aten.reciprocal.default": _reciprocal,
    "aten.mul.Tensor": _times,
    "aten.mul.Scalar": _times,
    "aten.div.Tensor": _over,
    "aten.div.Scalar": _over,
    "aten.add.Tensor": _summed("add"),
    "aten.add.Scalar": _summed("add"),
    "aten.sub.Tensor": _summed("sub"),
    "aten.sub.Scalar": _summed("sub"),
    "aten.rsub.Scalar": lambda c, a, b: _summed("sub")(c, b, a),
    "aten.neg.default": _negated,
    "aten.eq.Tensor": _compared("eq", "and"),
    "aten.eq.Scalar": _compared("eq", "and"),
    "aten.ne.Tensor": _compared("ne", "or"),
    "aten.ne.Scalar": _compared("ne", "or"),
    "aten._to_copy.default": _converted,
    "aten.to.dtype": _converted,
    "aten.copy.default": _copied,
    "aten.where.self": _chosen,
    "aten.where.ScalarOther": _chosen,
    "aten.where.ScalarSelf": _chosen,
    "aten.masked_fill.Scalar": _filled,
    "aten.masked_fill.Tensor": _filled,
    "aten.cat.default": _data_first(1),
    "aten.stack.default": _data_first(1),
    "aten.slice_scatter.default": _data_first(2),
    "aten.select_scatter.default": _data_first(2),
    "aten.index_copy.default": _index_copied,
    "aten.index_put.default": _scattered,
    "aten.pad.default": _padded,
    "aten.constant_pad_nd.default": _padded,
    "aten.linalg_vector_norm.default": _of_size,
    **{f"aten.{name}": _constant(lambda *_: 0) for name in (
        "zeros.default", "zeros_like.default", "new_zeros.default", "zero.default", "empty.memory_format", "empty_like.default", "new_empty.default")},
    **{f"aten.{name}.default": _constant(lambda *_: 1) for name in ("ones", "ones_like", "new_ones")},
    **{f"aten.{name}": _constant(lambda *a: a[-1]) for name in (
        "full.default", "full_like.default", "new_full.default", "scalar_tensor.default", "fill.Scalar")},
    **PRODUCTS,
    **TRANSFORMS,
}  # fmt: skip
