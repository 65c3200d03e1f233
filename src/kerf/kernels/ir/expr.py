"""Scalar expressions: what is computed at one point of a loop nest, and what index arithmetic is known to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from kerf.kernels.ir.buffers import Buffer, DType


@dataclass(frozen=True)
class Const:
    value: float | int | bool
    dtype: DType


@dataclass(frozen=True)
class Index:
    """The current value of a loop variable, as I64."""

    axis: str

    @property
    def dtype(self) -> DType:
        return DType.I64


@dataclass(frozen=True)
class Load:
    """buffer[index...]; `dtype` is the compute dtype of the buffer's storage. One I64 expression a dimension.

    What counts is the element offset: an index may run past its dimension as long as the offset stays in the buffer,
    which is how a contiguous buffer is seen in another shape for nothing. So before substituting a load's indices for
    a producer's axes, ask `within`."""

    buffer: str
    index: tuple[Expr, ...]
    dtype: DType


@dataclass(frozen=True)
class Apply:
    """A scalar operation from `OPS`. `select(cond, a, b)` evaluates a load in the branch not taken only if it is
    in bounds there, so a guarded load must clamp its index or be rendered as a C conditional (the renderer does)."""

    op: str
    args: tuple[Expr, ...]
    dtype: DType


Expr = Const | Index | Load | Apply

# Functions of one float argument that cost many instructions.
TRANSCENDENTAL = (
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "erf",
    "erfc",
    "sigmoid",
)
# name -> arity. Comparison and logic give BOOL; `cast` gives the node's dtype; the rest keep their arguments' dtype.
OPS: dict[str, int] = {
    **dict.fromkeys(
        [
            "neg",
            "abs",
            "sign",
            "floor",
            "ceil",
            "trunc",
            "round",
            "sqrt",
            "rsqrt",
            "recip",
            *TRANSCENDENTAL,
            "isnan",
            "isinf",
            "not",
            "bitnot",
            "cast",
        ],
        1,
    ),
    # min/max propagate NaN as torch does; mod has the sign of the divisor (python), fmod that of the dividend (C);
    # floordiv and mod on I64 with a positive constant divisor are what index arithmetic uses.
    **dict.fromkeys(
        [
            "add",
            "sub",
            "mul",
            "div",
            "floordiv",
            "mod",
            "fmod",
            "pow",
            "atan2",
            "min",
            "max",
            "lt",
            "le",
            "gt",
            "ge",
            "eq",
            "ne",
            "and",
            "or",
            "xor",
            "bitand",
            "bitor",
            "bitxor",
            "shl",
            "shr",
        ],
        2,
    ),
    "select": 3,
}
BOOL_OPS = frozenset(["lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor", "not", "isnan", "isinf"])


def apply(op: str, *args: Expr, dtype: DType | None = None) -> Expr:
    """Build an `Apply`, with the result dtype inferred and integer index arithmetic folded."""
    assert len(args) == OPS[op], f"{op} takes {OPS[op]} arguments, got {len(args)}"
    if dtype is None:
        dtype = DType.BOOL if op in BOOL_OPS else args[-1].dtype
    if dtype is DType.I64 and all(a.dtype is DType.I64 for a in args):
        folded = _fold_index(op, args)
        if folded is not None:
            return folded
    return Apply(op, args, dtype)


def _fold_index(op: str, args: tuple[Expr, ...]) -> Expr | None:
    values = [a.value if isinstance(a, Const) else None for a in args]
    if all(v is not None for v in values):
        x, y = int(values[0] or 0), int(values[-1] or 0)
        table: dict[str, Callable[[], int]] = {
            "add": lambda: x + y, "sub": lambda: x - y, "mul": lambda: x * y,
            "floordiv": lambda: x // y, "mod": lambda: x % y, "neg": lambda: -x,
            "min": lambda: min(x, y), "max": lambda: max(x, y),
        }  # fmt: skip
        return Const(table[op](), DType.I64) if op in table else None
    if op in ("add", "sub") and values[1] == 0:
        return args[0]
    if op == "add" and values[0] == 0:
        return args[1]
    if op == "mul" and 1 in values:
        return args[0] if values[1] == 1 else args[1]
    if op == "mul" and 0 in values:
        return Const(0, DType.I64)
    if op == "floordiv" and values[1] == 1:
        return args[0]
    if op == "mod" and values[1] == 1:
        return Const(0, DType.I64)
    return None


def const_index(value: int) -> Const:
    return Const(int(value), DType.I64)


def walk(expr: Expr) -> Iterator[Expr]:
    """Every node, parents first."""
    yield expr
    for child in expr.args if isinstance(expr, Apply) else expr.index if isinstance(expr, Load) else ():
        yield from walk(child)


def transform(expr: Expr, leaf: Callable[[Expr], Expr | None]) -> Expr:
    """Rebuild `expr`; where `leaf` returns an expression for a node, that replaces the whole subtree."""
    new = leaf(expr)
    if new is not None:
        return new
    if isinstance(expr, Apply):
        return apply(expr.op, *(transform(a, leaf) for a in expr.args), dtype=expr.dtype)
    if isinstance(expr, Load):
        return replace(expr, index=tuple(transform(i, leaf) for i in expr.index))
    return expr


def rename_axes(expr: Expr, names: Mapping[str, Expr]) -> Expr:
    """Substitute loop variables by expressions."""
    return transform(expr, lambda e: names.get(e.axis) if isinstance(e, Index) else None)


def loads(expr: Expr) -> Iterator[Load]:
    return (e for e in walk(expr) if isinstance(e, Load))


@dataclass(frozen=True)
class Affine:
    """offset + sum(coefficient * axis)."""

    offset: int
    coefficients: Mapping[str, int]

    def of(self, axis: str) -> int:
        return self.coefficients.get(axis, 0)


def affine(expr: Expr) -> Affine | None:
    """`expr` as an affine form of loop variables, or None when it is not one (division, a gather)."""
    if isinstance(expr, Const):
        return Affine(int(expr.value), {})
    if isinstance(expr, Index):
        return Affine(0, {expr.axis: 1})
    if not isinstance(expr, Apply) or expr.op not in ("add", "sub", "mul", "neg"):
        return None
    parts = [affine(a) for a in expr.args]
    if any(p is None for p in parts):
        return None
    first = parts[0]
    assert first is not None
    if expr.op == "neg":
        return scaled(first, -1)
    second = parts[1]
    assert second is not None
    if expr.op == "mul":
        if not first.coefficients:
            return scaled(second, first.offset)
        return scaled(first, second.offset) if not second.coefficients else None
    return added(first, second if expr.op == "add" else scaled(second, -1))


def added(a: Affine, b: Affine) -> Affine:
    merged = dict(a.coefficients)
    for axis, c in b.coefficients.items():
        merged[axis] = merged.get(axis, 0) + c
    return Affine(a.offset + b.offset, {x: c for x, c in merged.items() if c})


def scaled(form: Affine, factor: int) -> Affine:
    return Affine(form.offset * factor, {a: c * factor for a, c in form.coefficients.items() if c * factor})


def linear(load: Load, buffer: Buffer) -> Affine | None:
    """The element offset of `load` in its buffer's memory as an affine form, or None."""
    offset, merged = 0, dict[str, int]()
    for index, stride in zip(load.index, buffer.strides, strict=True):
        form = affine(index)
        if form is None:
            return None
        offset += form.offset * stride
        for axis, c in form.coefficients.items():
            merged[axis] = merged.get(axis, 0) + c * stride
    return Affine(offset, {a: c for a, c in merged.items() if c})


def within(load: Load, buffer: Buffer, extents: Mapping[str, int]) -> bool:
    """Is every index provably inside its own dimension, for loop variables below `extents`?"""
    ranges = (index_range(index, extents) for index in load.index)
    return all(r is not None and r[0] >= 0 and r[1] < n for r, n in zip(ranges, buffer.shape, strict=True))


def index_range(e: Expr, extents: Mapping[str, int]) -> tuple[int, int] | None:
    """The least and greatest value that an index expression can take (perhaps not tight), or None if unknown."""
    if isinstance(e, Const):
        return int(e.value), int(e.value)
    if isinstance(e, Index):
        return (0, extents[e.axis] - 1) if e.axis in extents else None
    if not isinstance(e, Apply) or e.op not in ("add", "sub", "mul", "neg", "floordiv", "mod", "min", "max"):
        return None
    parts = [index_range(a, extents) for a in e.args]
    if any(p is None for p in parts):
        return None
    (a, b), (c, d) = parts[0] or (0, 0), parts[-1] or (0, 0)
    if e.op in ("floordiv", "mod"):
        return (
            None
            if c != d or c <= 0
            else (a // c, b // c)
            if e.op == "floordiv"
            else (0, min(b, c - 1) if a >= 0 else c - 1)
        )
    corners = {
        "add": (a + c, b + d), "sub": (a - d, b - c), "mul": (a * c, a * d, b * c, b * d), "neg": (-b, -a),
        "min": (min(a, c), min(b, d)), "max": (max(a, c), max(b, d)),
    }[e.op]  # fmt: skip
    return min(corners), max(corners)
