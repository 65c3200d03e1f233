"""Products and sums of complex numbers, as contractions of real ones: with the two parts as one more dimension on each side, that of the
left summed over, so that matrices are read and written as they lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kerf.kernels.ir import Expr, Role, apply, loads
from kerf.kernels.lower.complex_values import Complex, of_pairs, pairs_of, times
from kerf.kernels.lower.matmul import batches_first, contract, matmul_letters, parsed, permute_value, spread
from kerf.kernels.lower.registry import LOWERINGS, Context
from kerf.kernels.lower.values import Indices, Value, constant, probe

_PART, _RESULT = (
    "P",
    "Q",
)  # letters of the parts of the left operand and of the result; parsed() takes capitals from the end


def contracted(c: Context, a: Any, b: Any, left: str, right: str, out: str) -> Complex:
    """einsum of two operands, one of them complex at least; if only because real ones were made so, as of those."""
    a, b = _real_if_so(a), _real_if_so(b)
    if isinstance(a, Value) and isinstance(b, Value):
        made = contract(c, a, b, left, right, out)
        return Complex(made, constant(0, made.dtype, made.shape))
    if not isinstance(a, Complex):
        a, b, left, right = b, a, right, left
    if not isinstance(b, Complex):
        return of_pairs(contract(c, pairs_of(a), b, left + _RESULT, right, out + _RESULT))
    if not (_own(a, left, right, out) and _own(b, right, left, out)):
        return _summed_times(c, a, b, left, right, out)
    a, b = _stored(c, a), _stored(c, b)
    free = batches_first(left, right, out)
    if free != out and _weights(c, a) and not _weights(c, b):  # packed once, with the signs that they get
        a, b, left, right = b, a, right, left
        free = batches_first(left, right, out)
    made = contract(c, pairs_of(a), _turned(c, b), left + _PART, right + _PART + _RESULT, free + _RESULT)
    return of_pairs(permute_value(made, [*(free.index(k) for k in out), len(out)]))


def _weights(c: Context, x: Complex) -> bool:
    read = [ld.buffer for part in (x.re, x.im) for ld in loads(part.at(probe(x.rank)))]
    return bool(read) and all(c.builder.buffers[name].role is Role.PARAM for name in read)


def _real_if_so(x: Any) -> Any:
    return x.re if isinstance(x, Complex) and x.im.constant == 0 else x


def _own(x: Complex, mine: str, other: str, out: str) -> bool:
    """Has it rows or columns of the result that the other lacks?"""
    return any(n > 1 and k in out and k not in other for k, n in zip(mine, x.shape))


def _stored(c: Context, x: Complex) -> Complex:
    """What is read several times for each part of the result is computed once."""
    return x.mapped(c.builder.reusable)


def _summed_times(c: Context, a: Complex, b: Complex, left: str, right: str, out: str) -> Complex:
    """No matrices: products of elements, and their sums."""
    summed = "".join(k for k in dict.fromkeys(left + right) if k not in out)
    lhs = a.mapped(lambda part: spread(c, part, left, out + summed))
    rhs = b.mapped(lambda part: spread(c, part, right, out + summed))
    made = times(c, lhs, rhs)
    if not summed:
        return made
    dims = range(len(out), len(out + summed))
    return made.mapped(lambda part: c.builder.reduce("sum", part, dims, c.dtype))


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
    """Pairwise from the left; of one operand by part."""
    inputs, out = parsed(equation, [x.rank for x in operands])
    if any(len(set(k)) < len(k) for k in inputs) or set(_PART + _RESULT) & set("".join(inputs)):
        raise LookupError("diagonals, and letters that are taken")
    if len(operands) == 1:
        rule = LOWERINGS["aten.einsum.default"]
        return operands[0].mapped(lambda part: rule(c, equation, [part]))  # type: ignore[no-any-return]
    value, letters = operands[0], inputs[0]
    for k in range(1, len(operands)):
        wanted = set(out).union(*inputs[k + 1 :])
        kept = "".join(x for x in dict.fromkeys(letters + inputs[k]) if x in wanted)
        target = out if k == len(operands) - 1 else kept
        value, letters = _of_two(c, value, operands[k], letters, inputs[k], target), target
    return value


def _of_two(c: Context, a: Any, b: Any, left: str, right: str, out: str) -> Any:
    of = contracted if isinstance(a, Complex) or isinstance(b, Complex) else contract
    return of(c, a, b, left, right, out)


def _linear(c: Context, x: Any, weight: Any, bias: Any = None) -> Complex:
    lead = "abcdefgh"[: x.rank - 1]
    return _biased(c, contracted(c, x, weight, lead + "k", "nk", lead + "n"), bias)


def _addmm(c: Context, bias: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Complex:
    if beta != 1 or alpha != 1:
        raise LookupError("scaled products")
    return _biased(c, _matmul(c, a, b), bias)


def _biased(c: Context, made: Complex, bias: Any) -> Complex:
    def plus(part: Value, of: Value | None) -> Value:
        return part if of is None else c.pointwise(lambda x, y: apply("add", x, y), part, of)

    given = bias if isinstance(bias, Complex) else None
    return Complex(plus(made.re, given.re if given else bias), plus(made.im, given.im if given else None))


PRODUCTS: dict[str, Callable[..., Any]] = {
    "aten.einsum.default": _einsum,
    "aten.linear.default": _linear,
    **{f"aten.{name}.default": _matmul for name in ("matmul", "mm", "bmm", "mv", "dot")},
    **{f"aten.{name}.default": _addmm for name in ("addmm", "baddbmm", "addmv")},
    "aten.outer.default": lambda c, a, b: contracted(c, a, b, "m", "n", "mn"),
}
