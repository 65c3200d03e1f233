"""The tensor IR: an immutable, loop-level description of what a PyTorch operator computes.

A `Program` is a list of ops in single-assignment order over named, contiguous, row-major buffers. An op says
*what* is computed over which loops; how (tiles, vectors, threads) is the schedule's business. Scalar work inside
an op is an `Expr` tree over loads, so elementwise chains fuse by substitution.

Storage and compute types differ: a buffer may store bf16 or f16, but a `Load` of it has dtype F32 and a store
rounds once, at the end.
"""

from __future__ import annotations

from kerf.kernels.ir.buffers import Axis, Buffer, DType, Role
from kerf.kernels.ir.expr import (
    BOOL_OPS,
    OPS,
    TRANSCENDENTAL,
    Affine,
    Apply,
    Const,
    Expr,
    Index,
    Load,
    affine,
    apply,
    const_index,
    index_range,
    linear,
    loads,
    rename_axes,
    transform,
    walk,
    within,
)
from kerf.kernels.ir.ops import (
    Attention,
    Contract,
    Conv,
    Emit,
    Group,
    Library,
    Map,
    Op,
    Pool,
    Program,
    Recurrence,
    Recurrent,
    Reduce,
    Ref,
    Scan,
    State,
    StepSum,
    exprs_of,
    outputs_of,
    reads_of,
    values_of,
)
from kerf.kernels.ir.printing import text

__all__ = [
    "BOOL_OPS",
    "OPS",
    "TRANSCENDENTAL",
    "Affine",
    "Apply",
    "Attention",
    "Axis",
    "Buffer",
    "Const",
    "Contract",
    "Conv",
    "DType",
    "Emit",
    "Expr",
    "Group",
    "Index",
    "Library",
    "Load",
    "Map",
    "Op",
    "Pool",
    "Program",
    "Recurrence",
    "Recurrent",
    "Reduce",
    "Ref",
    "Role",
    "Scan",
    "State",
    "StepSum",
    "affine",
    "apply",
    "const_index",
    "exprs_of",
    "index_range",
    "linear",
    "loads",
    "outputs_of",
    "reads_of",
    "rename_axes",
    "text",
    "transform",
    "values_of",
    "walk",
    "within",
]
