"""Products and sums of complex numbers, as contractions of real ones: with the two parts as one more dimension on each side, that of the
left summed over, so that matrices are read and written as they lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kerf.kernels.ir import Expr, Role, apply, loads
from kerf.kernels.lower.complex_values import Complex, of_pairs, pairs_of
from kerf.kernels.lower.matmul import batches_first, contract, matmul_letters, parsed, permute_value, spread
from kerf.kernels.lower.registry import Context
from kerf.kernels.lower.values import Indices, Value, probe

_PART, _RESULT = (
    "P",
    "Q",
)  # letters of the parts of the left operand and of the result; parsed() takes capitals from the end


def contracted(c: Context, a: Any, b: Any, left: str, right: str, out: str) -> Complex:
    """einsum of two operands, one of them complex at least."""
    if not isinstance(a, Complex):
        a, b, left, right = b, a, right, left
    if not isinstance(b, Complex):
        return of_pairs(contract(c, pairs_of(a), b, left + _RESULT, right, out + _RESULT))
    if not any(k in right and k not in out for k in left):
        return _times(c, a, b, left, right, out)
    free = batches_first(left, right, out)
    if free != out and _weights(c, a) and not _weights(c, b):  # packed once, with the signs that they get
        a, b, left, right = b, a, right, left
        free = batches_first(left, right, out)
    made = contract(c, pairs_of(a), _turned(c, b), left + _PART, right + _PART + _RESULT, free + _RESULT)
    return of_pairs(permute_value(made, [*(free.index(k) for k in out), len(out)]))


def _weights(c: Context, x: Complex) -> bool:
    read = [ld.buffer for part in (x.re, x.im) for ld in loads(part.at(probe(x.rank)))]
    return bool(read) and all(c.builder.buffers[name].role is Role.PARAM for name in read)


def _times(c: Context, a: Complex, b: Complex, left: str, right: str, out: str) -> Complex:
    re, im = (
        [spread(c, x, letters, out) for x, letters in ((getattr(a, p), left), (getattr(b, p), right))]
        for p in ("re", "im")
    )

    def two(op: str, w: Expr, x: Expr, y: Expr, z: Expr) -> Expr:
        return apply(op, apply("mul", w, x), apply("mul", y, z))

    return Complex(
        c.pointwise(lambda *e: two("sub", *e), re[0], re[1], im[0], im[1]),
        c.pointwise(lambda *e: two("add", *e), re[0], im[1], im[0], re[1]),
    )


def _turned(c: Context, b: Complex) -> Value:
    """b[..., p, q]: what part p of the left gives to part q of the result: (re, im) and (-im, re)."""

    def at(index: Indices) -> Expr:
        *where, p, q = index
        re, im = b.re.at(tuple(where)), b.im.at(tuple(where))
        crossed = apply("select", apply("lt", p, q), im, apply("neg", im), dtype=re.dtype)
        return apply("select", apply("eq", p, q), re, crossed, dtype=re.dtype)

    return Value((*b.shape, 2, 2), b.re.dtype, at, hint=c.builder.hint)


def _matmul(c: Context, a: Any, b: Any) -> Complex:
    return contracted(c, a, b, *matmul_letters(a.shape, b.shape))


def _einsum(c: Context, equation: str, operands: Sequence[Any], *_: Any, **__: Any) -> Complex:
    inputs, out = parsed(equation, [x.rank for x in operands])
    if (
        len(operands) != 2
        or any(len(set(k)) < len(k) for k in inputs)
        or set(_PART + _RESULT) & set("".join(inputs))
    ):
        raise LookupError("einsum of other than two operands")
    return contracted(c, operands[0], operands[1], inputs[0], inputs[1], out)


PRODUCTS: dict[str, Callable[..., Any]] = {
    "aten.einsum.default": _einsum,
    **{f"aten.{name}.default": _matmul for name in ("matmul", "mm", "bmm", "mv", "dot")},
}
