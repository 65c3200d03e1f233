"""The tensor IR: an immutable, loop-level description of what a PyTorch operator computes.

A `Program` is a list of ops in single-assignment order over named, contiguous, row-major buffers. An op says
*what* is computed over which loops; how (tiles, vectors, threads) is the schedule's business. Scalar work inside
an op is an `Expr` tree over loads, so elementwise chains fuse by substitution.

Storage and compute types differ: a buffer may store bf16 or f16, but a `Load` of it has dtype F32 and a store
rounds once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import cached_property
from math import prod


class DType(StrEnum):
    F64 = "f64"
    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    I64 = "i64"
    I32 = "i32"
    I16 = "i16"
    I8 = "i8"
    U8 = "u8"
    BOOL = "bool"

    @property
    def bytes(self) -> int:
        return {"f64": 8, "i64": 8, "f32": 4, "i32": 4, "f16": 2, "bf16": 2, "i16": 2}.get(self.value, 1)

    @property
    def is_float(self) -> bool:
        return self in (DType.F64, DType.F32, DType.F16, DType.BF16)

    @property
    def compute(self) -> DType:
        """The type in which arithmetic on values stored as this type is done."""
        return DType.F32 if self in (DType.F16, DType.BF16) else self


class Role(StrEnum):
    INPUT = "input"  # an argument of forward()
    PARAM = "param"  # a parameter, buffer or constant of the module; `source` is its state-dict key
    TEMP = "temp"  # lives inside one call
    OUTPUT = "output"  # returned, or written back to the module's state


@dataclass(frozen=True)
class Buffer:
    """A contiguous row-major array. `shape` in elements; `()` is a scalar."""

    name: str
    shape: tuple[int, ...]
    dtype: DType
    role: Role = Role.TEMP
    source: str = ""

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.size * self.dtype.bytes

    @property
    def strides(self) -> tuple[int, ...]:
        """Row-major strides in elements."""
        out, step = [], 1
        for extent in reversed(self.shape):
            out.append(step)
            step *= extent
        return tuple(reversed(out))


@dataclass(frozen=True)
class Axis:
    """A loop over range(extent)."""

    name: str
    extent: int


# ---------------------------------------------------------------- scalar expressions


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
        return _scaled(first, -1)
    second = parts[1]
    assert second is not None
    if expr.op == "mul":
        if not first.coefficients:
            return _scaled(second, first.offset)
        return _scaled(first, second.offset) if not second.coefficients else None
    sign = 1 if expr.op == "add" else -1
    merged = dict(first.coefficients)
    for axis, c in second.coefficients.items():
        merged[axis] = merged.get(axis, 0) + sign * c
    return Affine(first.offset + sign * second.offset, {a: c for a, c in merged.items() if c})


def _scaled(form: Affine, factor: int) -> Affine:
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


# ---------------------------------------------------------------- ops


@dataclass(frozen=True)
class Map:
    """out[axes] = value. The axes are exactly the out buffer's dimensions, in order."""

    out: Buffer
    axes: tuple[Axis, ...]
    value: Expr


@dataclass(frozen=True)
class Reduce:
    """out[axes] = kind over raxes of value. kind: sum prod max min any all argmax argmin (max and min propagate NaN;
    arg* give the first winner's flat index over raxes, NaN winning, as torch does)."""

    out: Buffer
    axes: tuple[Axis, ...]
    raxes: tuple[Axis, ...]
    kind: str
    value: Expr


@dataclass(frozen=True)
class Scan:
    """out[axes] = running kind along `axis` (one of axes) of value. kind: sum prod max min logsumexp."""

    out: Buffer
    axes: tuple[Axis, ...]
    axis: str
    kind: str
    value: Expr
    reverse: bool = False
    exclusive: bool = False


@dataclass(frozen=True)
class Contract:
    """out[axes] = sum over raxes of lhs * rhs: every form of GEMM, by the strides of the loads in lhs and rhs.
    lhs and rhs may carry an elementwise prologue."""

    out: Buffer
    axes: tuple[Axis, ...]
    raxes: tuple[Axis, ...]
    lhs: Expr
    rhs: Expr


@dataclass(frozen=True)
class Conv:
    """Convolution, 1 to 3 spatial dimensions, channels first. x: (N, C, *in); weight: (O, C/groups, *kernel), or
    (C, O/groups, *kernel) when transposed; bias (O,) or None. `padding` is symmetric per dimension."""

    out: Buffer
    x: str
    weight: str
    bias: str | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = ()


@dataclass(frozen=True)
class Pool:
    """Window reduction over the last len(kernel) dimensions of x. kind: max | avg. Out-of-range taps are -inf for
    max; for avg they count in the divisor only if count_include_pad. `divisor` overrides it. `indices`: a second
    output with the flat argmax positions (I64), or None."""

    out: Buffer
    x: str
    kind: str
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor: int | None = None
    indices: Buffer | None = None


@dataclass(frozen=True)
class Attention:
    """out[b, h, i, :] = sum_j softmax_j(scale * q[b,h,i] . k[b,h,j] + mask[b,h,i,j]) v[b,h,j]. q (B, H, L, E),
    k (B, Hk, S, E), v (B, Hk, S, Ev), H a multiple of Hk; mask broadcastable to (B, H, L, S), BOOL (True keeps) or
    float (added). causal keeps j <= i. `weighting`: softmax | safe_softmax (a row whose scores are all -inf gives 0, as
    PyTorch's fused attention does, where softmax gives NaN) | relu (scores pass through relu, no division)."""

    out: Buffer
    q: str
    k: str
    v: str
    mask: str | None
    scale: float
    causal: bool = False
    weighting: str = "softmax"


@dataclass(frozen=True)
class Recurrent:
    """A (stacked, possibly bidirectional) RNN as torch.nn has them. cell: lstm | gru | rnn_tanh | rnn_relu.
    x (T, B, I), or (B, T, I) when batch_first; h0 (layers * directions, B, H); c0 for lstm. `weights`: per layer and
    direction (w_ih, w_hh, b_ih, b_hh), biases "" when absent. out: the sequence; h_n (and c_n) the final states."""

    out: Buffer
    h_n: Buffer
    c_n: Buffer | None
    x: str
    h0: str
    c0: str | None
    weights: tuple[tuple[str, str, str, str], ...]
    cell: str
    hidden: int
    layers: int
    bidirectional: bool
    batch_first: bool


@dataclass(frozen=True)
class State:
    """A value carried from step to step of a `Recurrence`, over the loops `axes`. `initial` is its value before the first
    step, `value` its next value. Expressions of a step read it as Load(name, (Index(a.name) for a in axes))."""

    name: str
    axes: tuple[Axis, ...]
    initial: Expr
    value: Expr


@dataclass(frozen=True)
class StepSum:
    """A sum inside a step of a `Recurrence`, over `raxes` (some of its inner loops), for every point of the outer ones; read as
    Load(name, (Index(a.name) for a in axes of the recurrence)) by later sums, next states and emits."""

    name: str
    raxes: tuple[Axis, ...]
    value: Expr


@dataclass(frozen=True)
class Emit:
    """What a `Recurrence` stores at out[axes], where `axes` are loops of the recurrence. Without the time loop among them the
    value of the last step is stored."""

    out: Buffer
    axes: tuple[Axis, ...]
    value: Expr


@dataclass(frozen=True)
class Recurrence:
    """For every point of `axes`, for t over `time` one after the other: sums, then emits and next states, all computed from the states
    before the step. `inner` are further loops over which states may vary and sums run."""

    axes: tuple[Axis, ...]
    time: Axis
    inner: tuple[Axis, ...]
    states: tuple[State, ...]
    sums: tuple[StepSum, ...]
    emits: tuple[Emit, ...]
    reverse: bool = False  # time runs down from its last value

    @property
    def loops(self) -> tuple[Axis, ...]:
        return (*self.axes, self.time, *self.inner)

    @property
    def carried(self) -> frozenset[str]:
        """Names that loads use for states and sums: not buffers."""
        return frozenset([*(s.name for s in self.states), *(s.name for s in self.sums)])

    def mapped(self, change: Callable[[Expr], Expr]) -> Recurrence:
        """The same with every expression changed."""
        return replace(
            self,
            states=tuple(replace(s, initial=change(s.initial), value=change(s.value)) for s in self.states),
            sums=tuple(replace(s, value=change(s.value)) for s in self.sums),
            emits=tuple(replace(e, value=change(e.value)) for e in self.emits),
        )


@dataclass(frozen=True)
class Library:
    """A call into PyTorch, kept as it is: `target` is an ATen overload such as "aten.topk.default". An argument that is a
    `Ref` names a buffer."""

    outs: tuple[Buffer, ...]
    target: str
    args: tuple[object, ...]
    kwargs: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class Ref:
    """A buffer as an argument of a library call."""

    buffer: str


Op = Map | Reduce | Scan | Contract | Conv | Pool | Attention | Recurrent | Recurrence | Library


def outputs_of(op: Op) -> tuple[Buffer, ...]:
    if isinstance(op, Library):
        return op.outs
    if isinstance(op, Recurrence):
        return tuple(e.out for e in op.emits)
    extra = [getattr(op, name, None) for name in ("indices", "h_n", "c_n")]
    return (op.out, *(b for b in extra if b is not None))


def exprs_of(op: Op) -> tuple[Expr, ...]:
    if isinstance(op, Contract):
        return (op.lhs, op.rhs)
    if isinstance(op, Recurrence):
        pairs = (e for s in op.states for e in (s.initial, s.value))
        return (*pairs, *(s.value for s in op.sums), *(e.value for e in op.emits))
    return (op.value,) if isinstance(op, Map | Reduce | Scan) else ()


def reads_of(op: Op) -> tuple[str, ...]:
    """Names of the buffers an op reads, each once, in a stable order."""
    known: tuple[str, ...] | None = op.__dict__.get("_reads")  # asked for over and over, and ops never change
    if known is None:
        known = op.__dict__["_reads"] = tuple(dict.fromkeys(_reads_of(op)))
    return known


def _reads_of(op: Op) -> list[str]:
    if isinstance(op, Library):
        return [r.buffer for r in _refs((op.args, tuple(v for _, v in op.kwargs)))]
    if isinstance(op, Conv):
        return [op.x, op.weight, *([op.bias] if op.bias else [])]
    if isinstance(op, Pool):
        return [op.x]
    if isinstance(op, Attention):
        return [op.q, op.k, op.v, *([op.mask] if op.mask else [])]
    if isinstance(op, Recurrent):
        return [op.x, op.h0, *([op.c0] if op.c0 else []), *(w for group in op.weights for w in group if w)]
    carried = op.carried if isinstance(op, Recurrence) else ()
    return [ld.buffer for e in exprs_of(op) for ld in loads(e) if ld.buffer not in carried]


def values_of(op: Op) -> dict[str, object]:
    """The fields of an op by name."""
    return {f.name: getattr(op, f.name) for f in fields(op)}


def _refs(value: object) -> Iterator[Ref]:
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _refs(item)


@dataclass(frozen=True)
class Program:
    """`buffers` by name. `inputs` in the order of forward()'s tensor arguments; `outputs` in the order returned;
    `updates` maps a buffer of the program to the state-dict key it is written back to (batch-norm statistics).
    `parent` is the program this one was rewritten from, `step` the name of the rewrite."""

    buffers: Mapping[str, Buffer]
    ops: tuple[Op, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    updates: Mapping[str, str] = field(default_factory=dict)
    parent: Program | None = field(default=None, compare=False, repr=False)
    step: str = ""

    @cached_property
    def _producers(self) -> dict[str, Op]:
        return {b.name: op for op in self.ops for b in outputs_of(op)}

    def producer(self, name: str) -> Op | None:
        return self._producers.get(name)

    def consumers(self, name: str) -> tuple[Op, ...]:
        return tuple(op for op in self.ops if name in reads_of(op))

    def rewritten(self, step: str, ops: tuple[Op, ...]) -> Program:
        """A new program with these ops; buffers no longer mentioned are dropped."""
        made = {b.name: b for op in ops for b in outputs_of(op)}
        used = (
            {n for op in ops for n in reads_of(op)} | set(self.inputs) | set(self.outputs) | set(self.updates)
        )
        kept = {n: b for n, b in self.buffers.items() if n in used and (n not in made)}
        return replace(self, buffers={**kept, **made}, ops=ops, parent=self, step=step)


@dataclass(frozen=True)
class Group:
    """Ops that become one kernel, in order. `outputs` are those of its buffers that someone outside reads."""

    name: str
    ops: tuple[Op, ...]
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]

    @property
    def internal(self) -> tuple[Buffer, ...]:
        kept = {b.name for b in self.outputs}
        return tuple(b for op in self.ops for b in outputs_of(op) if b.name not in kept)

    def buffer(self, name: str) -> Buffer:
        for b in (*self.inputs, *self.outputs, *self.internal):
            if b.name == name:
                return b
        raise KeyError(f"group {self.name} has no buffer {name}")


# ---------------------------------------------------------------- text, for golden tests and reports


def text(node: Program | Op | Expr) -> str:
    """A stable, readable form."""
    if isinstance(node, Program):
        head = [f"in  {_declared(node.buffers[n])}" for n in node.inputs]
        head += [f"par {_declared(b)} = {b.source}" for b in node.buffers.values() if b.role is Role.PARAM]
        tail = [f"out {n}" for n in node.outputs] + [f"update {s} <- {n}" for n, s in node.updates.items()]
        return "\n".join([*head, *(text(op) for op in node.ops), *tail])
    if isinstance(node, Const):
        return f"{node.value!r}"
    if isinstance(node, Index):
        return node.axis
    if isinstance(node, Load):
        return f"{node.buffer}[{', '.join(text(i) for i in node.index)}]"
    if isinstance(node, Apply):
        name = f"cast.{node.dtype}" if node.op == "cast" else node.op
        return f"{name}({', '.join(text(a) for a in node.args)})"
    return _op_text(node)


def _declared(b: Buffer) -> str:
    return f"{b.name}: {b.dtype}[{', '.join(map(str, b.shape))}]"


def _loops(axes: tuple[Axis, ...]) -> str:
    return ", ".join(f"{a.name}<{a.extent}" for a in axes)


def _op_text(op: Op) -> str:
    outs = ", ".join(_declared(b) for b in outputs_of(op))
    if isinstance(op, Map):
        return f"{outs} = map({_loops(op.axes)}) {text(op.value)}"
    if isinstance(op, Reduce):
        return f"{outs} = reduce.{op.kind}({_loops(op.axes)} | {_loops(op.raxes)}) {text(op.value)}"
    if isinstance(op, Scan):
        flags = (".reverse" if op.reverse else "") + (".exclusive" if op.exclusive else "")
        return f"{outs} = scan.{op.kind}{flags}({_loops(op.axes)} | {op.axis}) {text(op.value)}"
    if isinstance(op, Contract):
        return f"{outs} = contract({_loops(op.axes)} | {_loops(op.raxes)}) {text(op.lhs)} * {text(op.rhs)}"
    if isinstance(op, Recurrence):
        return f"{outs} = recurrence{_recurrence_text(op)}"
    if isinstance(op, Library):
        return f"{outs} = library {op.target}({', '.join(map(str, op.args))})"
    skip = ("out", "indices", "h_n", "c_n")
    fields = ", ".join(f"{k}={v}" for k, v in values_of(op).items() if k not in skip)
    return f"{outs} = {type(op).__name__.lower()}({fields})"


def _recurrence_text(op: Recurrence) -> str:
    lines = [f"{s.name}[{_loops(s.axes)}] = {text(s.initial)} then {text(s.value)}" for s in op.states]
    lines += [f"{s.name} = sum({_loops(s.raxes)}) {text(s.value)}" for s in op.sums]
    lines += [f"{e.out.name}[{', '.join(a.name for a in e.axes)}] = {text(e.value)}" for e in op.emits]
    inner = f" | {_loops(op.inner)}" if op.inner else ""
    way = ".reverse" if op.reverse else ""
    return f"{way}({_loops(op.axes)} | {_loops((op.time,))}{inner}) " + "; ".join(lines)
