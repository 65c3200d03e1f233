"""Index arithmetic over loops whose extents are known: affine forms that see through // and %, and loads as flat offsets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kerf.kernels.ir import (
    Affine,
    Apply,
    Buffer,
    Const,
    DType,
    Expr,
    Index,
    Load,
    added,
    apply,
    const_index,
    scaled,
    transform,
)

Extents = Mapping[str, int]


def form(expr: Expr, extents: Extents) -> Affine | None:
    """`expr` as an affine form, dividing out what the extents show to be exact; None where it is not affine."""
    if isinstance(expr, Const):
        return Affine(int(expr.value), {})
    if isinstance(expr, Index):
        return Affine(0, {expr.axis: 1})
    if not isinstance(expr, Apply):
        return None
    if expr.op == "cast" and expr.dtype is DType.I64:
        return form(expr.args[0], extents) if expr.args[0].dtype is DType.I64 else None
    parts = [form(a, extents) for a in expr.args]
    if any(p is None for p in parts):
        return None
    return _combined(expr.op, [p for p in parts if p is not None], extents)


def _combined(op: str, parts: list[Affine], extents: Extents) -> Affine | None:
    first, last = parts[0], parts[-1]
    if op == "neg":
        return scaled(first, -1)
    if op in ("add", "sub"):
        return added(first, last if op == "add" else scaled(last, -1))
    if op == "mul" and not first.coefficients:
        return scaled(last, first.offset)
    if op == "mul" and not last.coefficients:
        return scaled(first, last.offset)
    if op in ("floordiv", "mod") and not last.coefficients and last.offset > 0:
        return _divided(first, last.offset, op, extents)
    return None


def _divided(value: Affine, by: int, op: str, extents: Extents) -> Affine | None:
    whole = Affine(value.offset // by, {a: c // by for a, c in value.coefficients.items() if c % by == 0})
    rest = Affine(value.offset % by, {a: c for a, c in value.coefficients.items() if c % by})
    if not rest.coefficients.keys() <= extents.keys():
        return None
    low, high = span(rest, extents)
    if low < 0 or high >= by:
        return None
    return whole if op == "floordiv" else rest


def span(value: Affine, extents: Extents) -> tuple[int, int]:
    """Least and greatest value over the loops."""
    ends = [c * (extents[a] - 1) for a, c in value.coefficients.items()]
    return value.offset + sum(e for e in ends if e < 0), value.offset + sum(e for e in ends if e > 0)


def expression(value: Affine) -> Expr:
    """The affine form as an expression, in the order of its coefficients, the largest first."""
    out: Expr = const_index(0)
    for axis, c in sorted(value.coefficients.items(), key=lambda item: -abs(item[1])):
        out = apply("add", out, apply("mul", Index(axis), const_index(c)))
    return apply("add", out, const_index(value.offset))


def flat(expr: Expr, buffers: Callable[[str], Buffer], extents: Extents) -> Expr:
    """`expr` with every load addressed by one flat element offset (affine where it can be), and index arithmetic simplified."""

    def leaf(node: Expr) -> Expr | None:
        if isinstance(node, Load):
            return Load(node.buffer, (_offset(node, buffers, extents),), node.dtype)
        if isinstance(node, Apply) and node.dtype is DType.I64:
            affine = form(node, extents)
            return expression(affine) if affine is not None else None
        return None

    return transform(expr, leaf)


def _offset(load: Load, buffers: Callable[[str], Buffer], extents: Extents) -> Expr:
    total, rest = Affine(0, {}), const_index(0)
    out: Expr = rest
    for index, stride in zip(load.index, buffers(load.buffer).strides, strict=True):
        affine = form(index, extents)
        if affine is None:
            out = apply("add", out, apply("mul", flat(index, buffers, extents), const_index(stride)))
        else:
            total = added(total, scaled(affine, stride))
    return apply("add", out, expression(total)) if out is not rest else expression(total)
