"""Ops, the program that lists them, and the groups that become kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

from kerf.kernels.ir.buffers import Axis, Buffer
from kerf.kernels.ir.expr import Expr, loads


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
    (C, O/groups, *kernel) when transposed; bias (O,) or None. `padding` is symmetric per dimension. With `channels_last` x is
    (N, *in, C) and the result (N, *out, O); the weight is as ever."""

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
    channels_last: bool = False


@dataclass(frozen=True)
class Pool:
    """Window reduction over the last len(kernel) dimensions of x, or, with `channels_last`, over all of (N, ..., C) between the first and
    the last. kind: max | avg. Out-of-range taps are -inf for max; for avg they count in the divisor only if count_include_pad.
    `divisor` overrides it. `indices`: a second output with the flat argmax positions among the pooled dimensions (I64), or None."""

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
    channels_last: bool = False


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
class StepProduct:
    """A matrix product inside a step of a `Recurrence`: for every point of its axes, the sum over `raxis` of left * right. `left`
    depends on the time, on every axis but the last, and on `raxis` in its place: states are read there at
    (Index(a.name) for the other axes, Index(raxis.name)), earlier products likewise. `right`, a weight, depends on the last axis
    and `raxis` alone. Read as a `StepSum` is."""

    name: str
    raxis: Axis
    left: Expr
    right: Expr


@dataclass(frozen=True)
class Emit:
    """What a `Recurrence` stores at out[axes], where `axes` are loops of the recurrence. Without the time loop among them the
    value of the last step is stored."""

    out: Buffer
    axes: tuple[Axis, ...]
    value: Expr


@dataclass(frozen=True)
class Recurrence:
    """For every point of `axes`, for t over `time` one after the other: products and sums, then emits and next states, all computed
    from the states before the step. `inner` are further loops over which states may vary and sums run."""

    axes: tuple[Axis, ...]
    time: Axis
    inner: tuple[Axis, ...]
    states: tuple[State, ...]
    sums: tuple[StepSum, ...]
    emits: tuple[Emit, ...]
    reverse: bool = False  # time runs down from its last value
    products: tuple[StepProduct, ...] = ()

    @property
    def loops(self) -> tuple[Axis, ...]:
        return (*self.axes, self.time, *self.inner)

    @property
    def carried(self) -> frozenset[str]:
        """Names that loads use for states, sums and products: not buffers."""
        made = [*(s.name for s in self.sums), *(p.name for p in self.products)]
        return frozenset([*(s.name for s in self.states), *made])

    def mapped(self, change: Callable[[Expr], Expr]) -> Recurrence:
        """The same with every expression changed."""
        return replace(
            self,
            states=tuple(replace(s, initial=change(s.initial), value=change(s.value)) for s in self.states),
            sums=tuple(replace(s, value=change(s.value)) for s in self.sums),
            emits=tuple(replace(e, value=change(e.value)) for e in self.emits),
            products=tuple(replace(p, left=change(p.left), right=change(p.right)) for p in self.products),
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
    """A buffer as an argument of a library call; `view`: seen with this shape, these strides and from this element on; `pairs`: what is
    seen, whose last dimension is 2, are complex numbers."""

    buffer: str
    view: tuple[tuple[int, ...], tuple[int, ...], int] | None = None
    pairs: bool = False

    def __str__(self) -> str:
        complex_ = " as complex" * self.pairs
        if self.view is None:
            return self.buffer + complex_
        shape, strides, start = self.view
        return (
            f"{self.buffer} as {list(shape)} by {list(strides)}" + f" from {start}" * bool(start) + complex_
        )


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
        sides = (e for p in op.products for e in (p.left, p.right))
        return (*pairs, *sides, *(s.value for s in op.sums), *(e.value for e in op.emits))
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

    @property
    def bytes(self) -> int:
        """What one call reads and writes at least: its inputs and outputs, once each."""
        return self.read + self.written

    @property
    def read(self) -> int:
        """Bytes of the inputs."""
        return sum(b.bytes for b in self.inputs)

    @property
    def written(self) -> int:
        """Bytes of the outputs."""
        return sum(b.bytes for b in self.outputs)

    def buffer(self, name: str) -> Buffer:
        for b in (*self.inputs, *self.outputs, *self.internal):
            if b.name == name:
                return b
        raise KeyError(f"group {self.name} has no buffer {name}")
