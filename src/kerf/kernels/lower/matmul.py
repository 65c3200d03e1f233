"""The matmul family as contractions: a transpose or a slice is only a stride."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerf.kernels.ir import Axis, Contract, Expr, Index, affine, apply, loads
from kerf.kernels.lower.attention import recognized
from kerf.kernels.lower.pointwise import num
from kerf.kernels.lower.registry import Context, cast, lowers
from kerf.kernels.lower.values import Builder, Shape, Value, broadcast, broadcast_index, probe, stored
from kerf.kernels.lower.views import permute


def operand(builder: Builder, x: Value) -> Value:
    """x fit for the inside of a contraction: cheap, and with strided loads."""
    x = builder.reusable(x)
    if x.buffer is None and any(affine(i) is None for load in loads(x.at(probe(x.rank))) for i in load.index):
        return builder.realize(x)
    return x


def contract(c: Context, lhs: Value, rhs: Value, left: str, right: str, out: str) -> Value:
    """einsum of two operands; each letter is a dimension. Letters of one operand alone that are not in `out` are
    summed first."""
    lhs, left = _summed(c, lhs, left, right, out)
    rhs, right = _summed(c, rhs, right, left, out)
    free = batches_first(left, right, out)
    if free != out:
        return permute_value(contract(c, lhs, rhs, left, right, free), [free.index(k) for k in out])
    sizes = _sizes(lhs, left) | {k: n for k, n in _sizes(rhs, right).items() if n != 1 or k not in left}
    sizes |= {k: n for k, n in _sizes(lhs, left).items() if n != 1}
    summed = [k for k in dict.fromkeys(left) if k in right and k not in out]
    if not summed:
        return _product(c, lhs, rhs, left, right, out)
    names = {k: f"i{n}" for n, k in enumerate(out)} | {k: f"r{n}" for n, k in enumerate(summed)}
    buffer = c.builder.temp(tuple(sizes[k] for k in out), c.dtype)
    kind = c.dtype.compute
    sides = [
        cast(x.at(broadcast_index(tuple(Index(names[k]) for k in letters), x.shape)), kind)
        for x, letters in ((operand(c.builder, lhs), left), (operand(c.builder, rhs), right))
    ]
    axes = tuple(Axis(names[k], sizes[k]) for k in out)
    raxes = tuple(Axis(names[k], sizes[k]) for k in summed)
    c.builder.ops.append(Contract(buffer, axes, raxes, sides[0], sides[1]))
    return stored(buffer)


def batches_first(left: str, right: str, out: str) -> str:
    """An order of the result in which each product of a batch lies together, where memory would run along the batch ("bix,iox->box"): that
    would leave single elements as matrices."""
    batch, rows, columns = (
        [k for k in out if (k in left, k in right) == where]
        for where in ((True, True), (True, False), (False, True))
    )
    summed = any(k in right and k not in out for k in left)
    return "".join([*batch, *rows, *columns]) if summed and rows and columns and out[-1] in batch else out


def _sizes(x: Value, letters: str) -> dict[str, int]:
    return dict(zip(letters, x.shape))


def _summed(c: Context, x: Value, mine: str, other: str, out: str) -> tuple[Value, str]:
    x, mine = _diagonal_of_repeats(x, mine)
    alone = [d for d, k in enumerate(mine) if k not in other and k not in out]
    if not alone:
        return x, mine
    kept = "".join(k for d, k in enumerate(mine) if d not in alone)
    return c.builder.reduce("sum", x, alone, c.dtype.compute, suffix="part"), kept


def _diagonal_of_repeats(x: Value, letters: str) -> tuple[Value, str]:
    """'ii' takes the diagonal."""
    unique = "".join(dict.fromkeys(letters))
    if unique == letters:
        return x, letters
    shape = tuple(x.shape[letters.index(k)] for k in unique)
    return Value(shape, x.dtype, lambda index: x.at(tuple(index[unique.index(k)] for k in letters))), unique


def _product(c: Context, lhs: Value, rhs: Value, left: str, right: str, out: str) -> Value:
    return c.pointwise(lambda a, b: apply("mul", a, b), spread(c, lhs, left, out), spread(c, rhs, right, out))


def spread(c: Context, x: Value, letters: str, out: str) -> Value:
    """x with its dimensions where `out` has them, and 1 for those that it lacks."""
    moved = permute_value(x, [letters.index(k) for k in out if k in letters])
    return c.reshape(moved, [x.shape[letters.index(k)] if k in letters else 1 for k in out])


def permute_value(x: Value, order: Sequence[int]) -> Value:
    back = [order.index(d) for d in range(x.rank)]
    if list(order) == list(range(x.rank)):
        return x
    return Value(
        tuple(x.shape[d] for d in order),
        x.dtype,
        lambda index: x.at(tuple(index[d] for d in back)),
        hint=x.hint,
    )


def biased(c: Context, product: Value, bias: Value | None, alpha: float = 1.0, beta: float = 1.0) -> Value:
    """alpha * product + beta * bias."""
    if bias is None or beta == 0:
        return product if alpha == 1 else c.pointwise(lambda e: apply("mul", e, num(alpha, e)), product)

    def one(e: Expr, b: Expr) -> Expr:
        e = e if alpha == 1 else apply("mul", e, num(alpha, e))
        return apply("add", e, b if beta == 1 else apply("mul", b, num(beta, b)))

    return c.pointwise(one, product, bias)


@lowers("linear")
def _linear(c: Context, x: Value, weight: Value, bias: Value | None = None) -> Value:
    lead = "abcdefgh"[: x.rank - 1]
    if weight.rank == 1:
        return biased(c, contract(c, x, weight, lead + "k", "k", lead), bias)
    return biased(c, contract(c, x, weight, lead + "k", "nk", lead + "n"), bias)


@lowers("bilinear")
def _bilinear(c: Context, a: Value, b: Value, weight: Value, bias: Value | None = None) -> Value:
    lead = "abcdefgh"[: a.rank - 1]
    half = contract(c, a, weight, lead + "k", "nkl", lead + "nl")
    return biased(c, contract(c, half, b, lead + "nl", lead + "l", lead + "n"), bias)


@lowers("matmul", "mm", "bmm", "mv", "dot", "vdot")
def _matmul(c: Context, a: Value, b: Value) -> Value:
    found = recognized(c, a, b)
    if found is not None:
        return found
    return product(c, a, b)


def product(c: Context, a: Value, b: Value) -> Value:
    if a.rank == b.rank == 2 and a.diagonal is not None:
        d = c.reshape(a.diagonal, (a.shape[0], 1))
        return c.pointwise(lambda x, y: apply("mul", x, y), d, b)
    if a.rank == b.rank == 2 and b.diagonal is not None:
        return c.pointwise(lambda x, y: apply("mul", x, y), a, b.diagonal)
    return contract(c, a, b, *matmul_letters(a.shape, b.shape))


def matmul_letters(a: Shape, b: Shape) -> tuple[str, str, str]:
    """torch.matmul as an einsum: the letters of both operands and of the result."""
    left = "m" if len(a) > 1 else ""
    right = "n" if len(b) > 1 else ""
    letters = "abcdefgh"[: len(broadcast(a[:-2], b[:-2]))]
    a_lead, b_lead = (letters[len(letters) - max(len(s) - 2, 0) :] if len(s) > 2 else "" for s in (a, b))
    return a_lead + left + "k", b_lead + "k" + right, letters + left + right


@lowers("addmm", "addbmm", "baddbmm", "addmv")
def _addmm(c: Context, bias: Value, a: Value, b: Value, *, beta: float = 1, alpha: float = 1) -> Value:
    if "addbmm" in str(c.node.target) and "baddbmm" not in str(c.node.target):
        return biased(c, contract(c, a, b, "bmk", "bkn", "mn"), bias, alpha, beta)
    return biased(c, product(c, a, b), bias, alpha, beta)


@lowers("outer", "ger")
def _outer(c: Context, a: Value, b: Value) -> Value:
    return c.pointwise(lambda x, y: apply("mul", x, y), c.reshape(a, (a.size, 1)), b)


@lowers("inner")
def _inner(c: Context, a: Value, b: Value) -> Value:
    """Along the last dimension of both, for every pair of what comes before; a number scales the other."""
    if not a.rank or not b.rank:
        return c.pointwise(lambda x, y: apply("mul", x, y), a, b)
    left, right = "abcdefgh"[: a.rank - 1], "mnopqrst"[: b.rank - 1]
    return contract(c, a, b, left + "k", right + "k", left + right)


@lowers("einsum")
def _einsum(c: Context, equation: str, operands: Sequence[Value], *_: Any, **__: Any) -> Value:
    """Pairwise from the left, keeping at each step only the letters still needed."""
    inputs, out = parsed(equation, [v.rank for v in operands])
    value, letters = operands[0], inputs[0]
    for k in range(1, len(operands)):
        wanted = set(out).union(*inputs[k + 1 :])
        target = (
            out
            if k == len(operands) - 1
            else "".join(x for x in dict.fromkeys(letters + inputs[k]) if x in wanted)
        )
        value, letters = contract(c, value, operands[k], letters, inputs[k], target), target
    if len(operands) == 1:
        value, letters = _summed(c, value, letters, "", out)
        return permute(c, value, [letters.index(k) for k in out])
    return value


def parsed(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """Letters of each operand and of the result; '...' becomes capital letters from the end of the alphabet, aligned
    on the right as broadcasting does."""
    left, arrow, out = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    spare = "".join(k for k in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if k not in equation)
    widths = [rank - len(t.replace("...", "")) for t, rank in zip(terms, ranks)]
    dots = spare[: max([w for t, w in zip(terms, widths) if "..." in t], default=0)]
    terms = [t.replace("...", dots[len(dots) - w :]) for t, w in zip(terms, widths)]
    if not arrow:
        counts = "".join(terms)
        out = "..." + "".join(sorted(k for k in set(counts) if counts.count(k) == 1 and k not in dots))
    return terms, out.replace("...", dots)
