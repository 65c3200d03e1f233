"""How each kind of reduction starts, combines and ends, in C."""

from __future__ import annotations

from kerf.kernels.codegen.expr import CTYPE, literal
from kerf.kernels.ir import DType

_SUFFIX = {DType.F32: "", DType.F64: "_f64"}
_LOWEST = {
    DType.I64: "INT64_MIN",
    DType.I32: "INT32_MIN",
    DType.I16: "INT16_MIN",
    DType.I8: "INT8_MIN",
    DType.U8: "0",
    DType.BOOL: "0",
}
_HIGHEST = {
    DType.I64: "INT64_MAX",
    DType.I32: "INT32_MAX",
    DType.I16: "INT16_MAX",
    DType.I8: "INT8_MAX",
    DType.U8: "255",
    DType.BOOL: "1",
}


def accumulator(kind: str, dtype: DType) -> str:
    """The C type partial results are kept in inside a vector loop."""
    return "int" if kind in ("any", "all") else CTYPE[dtype.compute]


def wide(kind: str, dtype: DType) -> str:
    """The C type in which partial results of many vectors are added up."""
    return "double" if kind in ("sum", "prod") and dtype.compute is DType.F32 else accumulator(kind, dtype)


def start(kind: str, dtype: DType) -> str:
    kind = kind.removeprefix("arg")
    if kind in ("max", "min"):
        if dtype.is_float:
            return "(-INFINITY)" if kind == "max" else "INFINITY"
        return (_LOWEST if kind == "max" else _HIGHEST)[dtype]
    return {"sum": literal(0, dtype), "prod": literal(1, dtype), "any": "0", "all": "1"}[kind]


def combine(kind: str, dtype: DType, a: str, b: str, double: bool = False) -> str:
    if kind in ("max", "min"):
        return f"kf_{kind}{'_f64' if double else _SUFFIX.get(dtype.compute, '_i64')}({a}, {b})"
    if kind in ("any", "all"):
        return f"{a} {'|' if kind == 'any' else '&'} ({b} != 0)"
    return f"{a} {'+' if kind == 'sum' else '*'} {b}"


def clause(kind: str, dtype: DType) -> str:
    """The identifier for an OpenMP reduction clause."""
    if kind in ("max", "min") and dtype.is_float:
        return f"kf_{kind}{_SUFFIX.get(dtype.compute, '')}"
    return {"sum": "+", "prod": "*", "any": "|", "all": "&", "max": "max", "min": "min"}[kind]


def declaration(kind: str, dtype: DType) -> str | None:
    """The OpenMP declaration that `clause` needs: max and min that let NaN through."""
    if kind not in ("max", "min") or not dtype.is_float:
        return None
    name, ctype = clause(kind, dtype), CTYPE[dtype.compute]
    begin = start(kind, dtype)
    return f"#pragma omp declare reduction({name} : {ctype} : omp_out = {name}(omp_out, omp_in)) initializer(omp_priv = {begin})"


def position_type(dtype: DType) -> str:
    """The C type of an argmax position beside values of `dtype`: as wide as they are, so that both fill vectors alike."""
    return "int64_t" if dtype.compute.bytes == 8 else "int32_t"


def flagged(kind: str, dtype: DType) -> bool:
    """Is NaN noted beside the result, and the result free of it?"""
    return kind in ("max", "min") and dtype.is_float
