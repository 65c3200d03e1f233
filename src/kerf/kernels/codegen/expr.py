"""Scalar expressions as C. Float32 functions are branch-free inlines from `mathlib` that compilers vectorize."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence

from kerf.kernels.codegen.strength import cheaper
from kerf.kernels.ir import Apply, Axis, Buffer, Const, DType, Expr, Index, Load, loads, within

# How a value is stored in a buffer, and how it is computed with.
CTYPE: dict[DType, str] = {
    DType.F64: "double", DType.F32: "float", DType.F16: "kf_f16", DType.BF16: "kf_bf16", DType.I64: "int64_t",
    DType.I32: "int32_t", DType.I16: "int16_t", DType.I8: "int8_t", DType.U8: "uint8_t", DType.BOOL: "uint8_t",
}  # fmt: skip

_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
    "bitand": "&", "bitor": "|", "bitxor": "^", "shl": "<<", "shr": ">>", "xor": "!=",
}  # fmt: skip
# Both operands are evaluated: no branches inside vector loops.
_LOGIC = {"and": "&", "or": "|"}


def ctype(dtype: DType) -> str:
    """The C type a value of this dtype is computed in."""
    return CTYPE[dtype.compute]


def literal(value: float | int | bool, dtype: DType) -> str:
    """A C literal that means exactly `value` in `dtype`."""
    kind = dtype.compute
    if kind is DType.BOOL:
        return "1" if value else "0"
    if not kind.is_float:
        return (
            f"INT64_C({int(value)})" if kind is DType.I64 and abs(int(value)) > 2**31 - 1 else str(int(value))
        )
    x = float(value)
    if math.isnan(x):
        return "NAN"
    if math.isinf(x):
        return "INFINITY" if x > 0 else "(-INFINITY)"
    digits = repr(x) if kind is DType.F64 else f"{x:.9g}"
    if "." not in digits and "e" not in digits:
        digits += ".0"
    digits += "" if kind is DType.F64 else "f"
    return f"({digits})" if x < 0 or digits.startswith("-") else digits


def loaded(raw: str, dtype: DType) -> str:
    """The stored value `raw` (an lvalue of the storage type) as a value to compute with."""
    return {DType.F16: f"kf_from_f16({raw})", DType.BF16: f"kf_from_bf16({raw})"}.get(dtype, raw)


def stored(value: str, dtype: DType) -> str:
    """A computed value rounded to the storage type."""
    return {DType.F16: f"kf_to_f16({value})", DType.BF16: f"kf_to_bf16({value})"}.get(dtype, value)


def offset(load: Load, buffer: Buffer, axes: Mapping[str, str]) -> str:
    """The C expression of the element offset of `load`; `axes` maps loop names to C variables."""
    terms = []
    for index, stride in zip(load.index, buffer.strides, strict=True):
        code = render(index, axes, _no_loads)
        if code != "0":
            terms.append(code if stride == 1 else f"{stride}L*{_paren(code)}")
    return " + ".join(terms) or "0"


def memory_loads(
    buffers: Callable[[str], Buffer], axes: Mapping[str, str], names: Mapping[str, str] | None = None
) -> Callable[[Load], str]:
    """The usual way to render loads: from memory, at the index they name. `names` renames buffers to C pointers. Index
    expressions may themselves load (gathers)."""

    def one(load: Load) -> str:
        buffer = buffers(load.buffer)
        terms = []
        for index, stride in zip(load.index, buffer.strides, strict=True):
            code = render(index, axes, one)
            if code != "0":
                terms.append(code if stride == 1 else f"{stride}L*{_paren(code)}")
        pointer = (names or {}).get(load.buffer, load.buffer)
        return loaded(f"{pointer}[{' + '.join(terms) or '0'}]", buffer.dtype)

    return one


def render(expr: Expr, axes: Mapping[str, str], load: Callable[[Load], str]) -> str:
    """C for `expr`. `axes` maps loop names to C variables (int64_t or long); `load` renders each Load, as a value of its
    compute type. Sub-expressions used more than once are repeated: bind them to a variable first where that matters
    (`bound` does)."""
    if isinstance(expr, Const):
        return literal(expr.value, expr.dtype)
    if isinstance(expr, Index):
        return axes[expr.axis]
    if isinstance(expr, Load):
        return load(expr)
    args = [render(a, axes, load) for a in expr.args]
    return _apply(expr, args)


def _apply(expr: Apply, args: list[str]) -> str:
    op, kind = expr.op, expr.args[-1].dtype.compute
    if op in _INFIX or op in _LOGIC:
        return f"({args[0]} {_INFIX.get(op) or _LOGIC[op]} {args[1]})"
    if op == "cast":
        return _cast(args[0], expr.args[0].dtype.compute, expr.dtype)
    if op == "select":
        return f"({args[0]} ? {args[1]} : {args[2]})"
    if op == "neg":
        return f"(-{args[0]})"
    if op == "not":
        return f"(!{args[0]})"
    if op == "bitnot":
        return f"(~{args[0]})"
    if op == "div" and kind.is_float:
        return f"({args[0]} / {args[1]})"
    if op == "recip":
        return f"({literal(1.0, kind)} / {args[0]})"
    suffix = {DType.F32: "", DType.F64: "_f64"}.get(kind, "_i64")
    return f"kf_{op}{suffix}({', '.join(args)})"


def _cast(code: str, source: DType, target: DType) -> str:
    if target is DType.BOOL:
        return f"({code} != 0)"
    if target in (DType.F16, DType.BF16):  # round through the narrow type, keep computing in float
        return loaded(stored(f"(float){_paren(code)}", target), target)
    return code if source is target else f"({CTYPE[target]}){_paren(code)}"


def bound(
    expr: Expr,
    axes: Mapping[str, str],
    load: Callable[[Load], str],
    indent: str,
    prefix: str = "t",
    inside: Callable[[Load], bool] = lambda _: False,
) -> tuple[list[str], str]:
    """C statements that bind every shared or deep sub-expression to a typed constant, and the final C expression: what a
    reader wants to see in a loop body. Loads under a condition are done without it where they are `inside` of their buffer
    anyway: as a masked vector load, one waits for what its mask is computed from, and memory for both in turn."""
    lines: list[str] = []
    names: dict[Expr, str] = {}

    def visit(node: Expr) -> str:
        if node in names:
            return names[node]
        if isinstance(node, Const | Index):
            return render(node, axes, load)
        if isinstance(node, Load):
            code = load(node)
        elif node.op == "select":  # keep guarded loads inside their conditional
            for each in loads(node):
                if inside(each):
                    visit(each)
            code = render(node, axes, lambda ld: names.get(ld) or load(ld))
        else:
            code = _apply(node, [visit(a) for a in node.args])
        names[node] = f"{prefix}{len(names)}"
        lines.append(f"{indent}const {ctype(node.dtype)} {names[node]} = {code};")
        return names[node]

    result = visit(cheaper(expr))
    return lines, result


def always_inside(
    axes: Sequence[Axis], buffer: Callable[[str], Buffer], made: Container[str]
) -> Callable[[Load], bool]:
    """For `bound`: does a load lie within its buffer at every point of `axes`, and is that in memory, not just `made`?"""
    extents = {a.name: a.extent for a in axes}
    return lambda load: load.buffer not in made and within(load, buffer(load.buffer), extents)


def _no_loads(load: Load) -> str:
    raise ValueError(f"a gather from {load.buffer} needs memory_loads")


def _paren(code: str) -> str:
    return (
        code
        if code.isidentifier() or code.isdigit() or (code.startswith("(") and _balanced(code))
        else f"({code})"
    )


def _balanced(code: str) -> bool:
    depth = 0
    for i, c in enumerate(code):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return i == len(code) - 1
    return False
