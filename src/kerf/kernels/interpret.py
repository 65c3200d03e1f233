"""The meaning of the tensor IR: every op, evaluated with torch over whole index grids. Slow and plain on purpose."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from kerf.core.types import KerfError
from kerf.kernels import ir
from kerf.kernels.lower.registry import TORCH_DTYPES

Tensors = dict[str, torch.Tensor]


def interpret(program: ir.Program, tensors: Mapping[str, torch.Tensor], *, double: bool = False) -> Tensors:
    """Run the program on `tensors` (inputs and parameters, by buffer name) and return outputs and updates, by buffer name; complex ones as
    pairs of reals in a last dimension.
    With `double`, every float is float64 throughout; otherwise values are computed and stored in their own types."""
    missing = [
        n for n, b in program.buffers.items() if b.role in (ir.Role.INPUT, ir.Role.PARAM) and n not in tensors
    ]
    if missing:
        raise KerfError(f"interpret needs tensors for {', '.join(missing)}")
    memory = {
        n: _stored(t.detach(), program.buffers[n], double) for n, t in tensors.items() if n in program.buffers
    }
    with torch.no_grad():
        for op in program.ops:
            for buffer, value in zip(ir.outputs_of(op), _RUN[type(op)](op, memory, double)):
                memory[buffer.name] = _stored(value, buffer, double)
    return {n: memory[n] for n in (*program.outputs, *program.updates)}


def bind(program: ir.Program, module: torch.nn.Module, inputs: Sequence[Any]) -> Tensors:
    """The tensors that `interpret` needs: the module's parameters and buffers, and the call's tensor arguments."""
    flat = [t for t in torch.utils._pytree.tree_leaves(tuple(inputs)) if isinstance(t, torch.Tensor)]
    found = {n: _lying(t, program.buffers[n]) for n, t in zip(program.inputs, flat, strict=True)}
    for name, buffer in program.buffers.items():
        if buffer.role is ir.Role.PARAM:
            value: Any = module
            for part in buffer.source.split("."):
                value = getattr(value, part)
            found[name] = _lying(value.detach(), buffer)
    return found


def _lying(t: torch.Tensor, buffer: ir.Buffer) -> torch.Tensor:
    """A tensor as it is in memory: complex numbers as pairs, its dimensions in the buffer's order."""
    t = torch.view_as_real(t.resolve_conj()) if t.is_complex() else t
    return t.permute(buffer.order) if buffer.order else t


def _stored(value: torch.Tensor, buffer: ir.Buffer, double: bool) -> torch.Tensor:
    dtype = TORCH_DTYPES[buffer.dtype]
    if double and buffer.dtype.is_float:
        dtype = torch.float64
    return value.expand(buffer.shape).to(dtype).contiguous()


def _compute(dtype: ir.DType, double: bool) -> torch.dtype:
    return torch.float64 if double and dtype.is_float else TORCH_DTYPES[dtype.compute]


# ---------------------------------------------------------------- scalar expressions


class Evaluator:
    """Evaluates expressions over the grid of `axes`; results broadcast against (extent of each axis)."""

    def __init__(self, axes: Sequence[ir.Axis], memory: Tensors, double: bool) -> None:
        self.memory, self.double, self.axes = memory, double, axes
        self.grid = {}
        for d, axis in enumerate(axes):
            shape = [1] * len(axes)
            shape[d] = axis.extent
            self.grid[axis.name] = torch.arange(axis.extent).reshape(shape)
        self.seen: dict[tuple[int, bool], torch.Tensor] = {}
        self.alive: list[ir.Expr] = []

    def __call__(self, e: ir.Expr, guarded: bool = False) -> torch.Tensor:
        key = (id(e), guarded)
        if key not in self.seen:
            self.alive.append(e)
            self.seen[key] = self._evaluate(e, guarded)
        return self.seen[key]

    def _evaluate(self, e: ir.Expr, guarded: bool) -> torch.Tensor:
        if isinstance(e, ir.Const):
            return torch.tensor(e.value, dtype=_compute(e.dtype, self.double))
        if isinstance(e, ir.Index):
            return self.grid[e.axis]
        if isinstance(e, ir.Load):
            return self._load(e, guarded)
        if e.op == "select":
            cond, a, b = self(e.args[0], guarded), self(e.args[1], True), self(e.args[2], True)
            return torch.where(cond, a, b)
        return self._apply(e, [self(a, guarded) for a in e.args])

    def _load(self, e: ir.Load, guarded: bool) -> torch.Tensor:
        """Counts in element offsets of the whole buffer. In a branch of a select it may point outside."""
        source = self.memory[e.buffer]
        view = self._view(e, source)
        if view is not None:
            return view.to(_compute(e.dtype, self.double))
        offset: torch.Tensor = torch.tensor(0)
        for i, stride in zip(e.index, source.stride(), strict=True):
            offset = offset + self(i, guarded) * stride
        if guarded:
            offset = offset.clamp(0, source.numel() - 1)
        elif offset.numel() and (int(offset.min()) < 0 or int(offset.max()) >= source.numel()):
            raise KerfError(f"{ir.text(e)} reads outside its buffer of {source.numel()} elements")
        return source.reshape(-1)[offset].to(_compute(e.dtype, self.double))

    def _view(self, e: ir.Load, source: torch.Tensor) -> torch.Tensor | None:
        """Where the indices are affine and inside the buffer, nothing need be gathered."""
        offset, steps = source.storage_offset(), dict[str, int]()
        for i, stride in zip(e.index, source.stride(), strict=True):
            form = ir.affine(i)
            if form is None:
                return None
            offset += form.offset * stride
            for axis, factor in form.coefficients.items():
                steps[axis] = steps.get(axis, 0) + factor * stride
        extents = {a.name: a.extent for a in self.axes}
        offset += sum(int(self.grid[a]) * step for a, step in steps.items() if a not in extents)
        places = [steps.get(a.name, 0) for a in self.axes]
        last = offset + sum((extents[a] - 1) * step for a, step in steps.items() if a in extents)
        inside = source.storage_offset() <= offset and last < source.storage_offset() + source.numel()
        if not inside or min(places, default=0) < 0 or not source.is_contiguous() or 0 in extents.values():
            return None
        return source.as_strided([a.extent if p else 1 for a, p in zip(self.axes, places)], places, offset)

    def _apply(self, e: ir.Apply, args: list[torch.Tensor]) -> torch.Tensor:
        if e.op == "cast":
            return self._cast(e, args[0])
        if e.op == "div" and not e.dtype.is_float:
            return torch.div(args[0], args[1], rounding_mode="trunc")
        return _APPLY[e.op](*args)

    def _cast(self, e: ir.Apply, x: torch.Tensor) -> torch.Tensor:
        if e.dtype in (ir.DType.F16, ir.DType.BF16) and not self.double:
            return x.to(TORCH_DTYPES[e.dtype]).to(torch.float32)
        return x.to(_compute(e.dtype, self.double))


def _sign(x: torch.Tensor) -> torch.Tensor:
    return torch.where(torch.isnan(x), x, torch.sign(x)) if x.is_floating_point() else torch.sign(x)


_APPLY: dict[str, Callable[..., torch.Tensor]] = {
    **{n: getattr(torch, n) for n in ["neg", "abs", "floor", "ceil", "trunc", "round", "sqrt", "rsqrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "sigmoid", "isnan", "isinf", "add", "sub", "mul", "div", "fmod", "pow", "atan2", "lt", "le", "gt", "ge", "eq", "ne"]},
    "sign": _sign, "recip": torch.reciprocal, "not": torch.logical_not, "bitnot": torch.bitwise_not,
    "floordiv": lambda a, b: torch.div(a, b, rounding_mode="floor"), "mod": torch.remainder,
    "min": torch.minimum, "max": torch.maximum, "and": torch.logical_and, "or": torch.logical_or, "xor": torch.logical_xor,
    "bitand": torch.bitwise_and, "bitor": torch.bitwise_or, "bitxor": torch.bitwise_xor,
    "shl": torch.bitwise_left_shift, "shr": torch.bitwise_right_shift,
}  # fmt: skip


def _on_grid(axes: Sequence[ir.Axis], e: ir.Expr, memory: Tensors, double: bool) -> torch.Tensor:
    """`e` over every point of the grid."""
    return Evaluator(axes, memory, double)(e).expand([a.extent for a in axes])


# ---------------------------------------------------------------- ops


def _map(op: ir.Map, memory: Tensors, double: bool) -> list[torch.Tensor]:
    return [_on_grid(op.axes, op.value, memory, double)]


def _reduce(op: ir.Reduce, memory: Tensors, double: bool) -> list[torch.Tensor]:
    value = _on_grid((*op.axes, *op.raxes), op.value, memory, double)
    flat = value.reshape([a.extent for a in op.axes] + [-1])
    reducers: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "sum": lambda x: x.sum(-1), "prod": lambda x: x.prod(-1), "max": lambda x: x.amax(-1), "min": lambda x: x.amin(-1),
        "any": lambda x: x.any(-1), "all": lambda x: x.all(-1), "argmax": lambda x: x.argmax(-1), "argmin": lambda x: x.argmin(-1),
    }  # fmt: skip
    return [reducers[op.kind](flat)]


def _scan(op: ir.Scan, memory: Tensors, double: bool) -> list[torch.Tensor]:
    d = [a.name for a in op.axes].index(op.axis)
    value = _on_grid(op.axes, op.value, memory, double)
    value = value.flip(d) if op.reverse else value
    out = {
        "sum": lambda: value.cumsum(d), "prod": lambda: value.cumprod(d), "max": lambda: value.cummax(d).values,
        "min": lambda: value.cummin(d).values, "logsumexp": lambda: value.logcumsumexp(d),
    }[op.kind]()  # fmt: skip
    if op.exclusive:
        start = {"sum": 0.0, "prod": 1.0, "max": -torch.inf, "min": torch.inf, "logsumexp": -torch.inf}[
            op.kind
        ]
        first = torch.full_like(out.narrow(d, 0, 1), start)
        out = torch.cat([first, out.narrow(d, 0, out.shape[d] - 1)], d)
    return [out.flip(d) if op.reverse else out]


def _contract(op: ir.Contract, memory: Tensors, double: bool) -> list[torch.Tensor]:
    letters = dict(zip((a.name for a in (*op.axes, *op.raxes)), string.ascii_letters))
    sides, terms = [], []
    for e in (op.lhs, op.rhs):
        used = {x.axis for x in ir.walk(e) if isinstance(x, ir.Index)}
        mine = [a for a in (*op.axes, *op.raxes) if a.name in used]
        sides.append(_on_grid(mine, e, memory, double))
        terms.append("".join(letters[a.name] for a in mine))
    kept = [a for a in op.axes if any(letters[a.name] in t for t in terms)]
    missing = [a for a in op.raxes if not any(letters[a.name] in t for t in terms)]
    out = torch.einsum(f"{terms[0]},{terms[1]}->{''.join(letters[a.name] for a in kept)}", *sides)
    for axis in missing:
        out = out * axis.extent
    return [out.reshape([a.extent if a in kept else 1 for a in op.axes])]


def _conv(op: ir.Conv, memory: Tensors, double: bool) -> list[torch.Tensor]:
    n = len(op.stride)
    x, weight = (_wide(memory[name]) for name in (op.x, op.weight))
    bias = _wide(memory[op.bias]) if op.bias else None
    if op.transposed:
        fn: Any = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[n - 1]
        return [fn(x, weight, bias, op.stride, op.padding, op.output_padding, op.groups, op.dilation)]
    fn = (F.conv1d, F.conv2d, F.conv3d)[n - 1]
    if op.channels_last:
        made = fn(x.movedim(-1, 1), weight, bias, op.stride, op.padding, op.dilation, op.groups)
        return [made.movedim(1, -1)]
    return [fn(x, weight, bias, op.stride, op.padding, op.dilation, op.groups)]


def _wide(x: torch.Tensor) -> torch.Tensor:
    """bf16 and f16 compute as f32."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def _pool(op: ir.Pool, memory: Tensors, double: bool) -> list[torch.Tensor]:
    if op.channels_last:
        found = _pooled(op, memory[op.x].movedim(-1, 1))
        return [t.movedim(1, -1) for t in found]
    return _pooled(op, memory[op.x])


def _pooled(op: ir.Pool, given: torch.Tensor) -> list[torch.Tensor]:
    n, x = len(op.kernel), _wide(given)
    if op.kind == "max":
        fn: Any = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[n - 1]
        found = fn(
            x,
            op.kernel,
            op.stride,
            op.padding,
            op.dilation,
            op.ceil_mode,
            return_indices=op.indices is not None,
        )
        return list(found) if op.indices is not None else [found]
    if n == 1:
        squeezed = x.unsqueeze(-2)
        out = F.avg_pool2d(
            squeezed,
            (1, *op.kernel),
            (1, *op.stride),
            (0, *op.padding),
            op.ceil_mode,
            op.count_include_pad,
            op.divisor,
        )
        return [out.squeeze(-2)]
    fn = (F.avg_pool2d, F.avg_pool3d)[n - 2]
    return [fn(x, op.kernel, op.stride, op.padding, op.ceil_mode, op.count_include_pad, op.divisor)]


def _attention(op: ir.Attention, memory: Tensors, double: bool) -> list[torch.Tensor]:
    q, k, v = (_wide(memory[name]) for name in (op.q, op.k, op.v))
    share = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
    scores = q @ k.transpose(-1, -2) * op.scale
    if op.mask:
        mask = memory[op.mask]
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype is torch.bool else scores + mask
    if op.causal:
        keep = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        scores = scores.masked_fill(~keep, -torch.inf)
    weights = scores.relu() if op.weighting == "relu" else scores.softmax(-1)
    if op.weighting == "safe_softmax":
        weights = weights.masked_fill((scores == -torch.inf).all(-1, keepdim=True), 0)
    return [weights @ v]


def _recurrent(op: ir.Recurrent, memory: Tensors, double: bool) -> list[torch.Tensor]:
    params = [_wide(memory[w]) for group in op.weights for w in group if w]
    has_biases = bool(op.weights[0][2])
    state = _wide(memory[op.h0])
    states: Any = [state, _wide(memory[op.c0])] if op.c0 else state
    fn = getattr(torch.ops.aten, op.cell).input
    return list(
        fn(
            _wide(memory[op.x]),
            states,
            params,
            has_biases,
            op.layers,
            0.0,
            False,
            op.bidirectional,
            op.batch_first,
        )
    )


def _recurrence(op: ir.Recurrence, memory: Tensors, double: bool) -> list[torch.Tensor]:
    def at(t: int, e: ir.Expr, axes: Sequence[ir.Axis], known: Tensors) -> torch.Tensor:
        evaluator = Evaluator(axes, known, double)
        evaluator.grid[op.time.name] = torch.tensor(t)
        return evaluator(e).expand([a.extent for a in axes]).contiguous()

    carried = {s.name: at(0, s.initial, s.axes, memory) for s in op.states}
    stored: list[list[torch.Tensor]] = [[] for _ in op.emits]
    for t in range(op.time.extent)[:: -1 if op.reverse else 1]:
        now = {**memory, **carried}
        for p in op.products:
            left = at(t, p.left, (*op.axes[:-1], p.raxis), now)
            now[p.name] = left @ at(t, p.right, (op.axes[-1], p.raxis), memory).mT
        for s in op.sums:
            points = at(t, s.value, (*op.axes, *s.raxes), now)
            now[s.name] = points.flatten(len(op.axes)).sum(-1)
        for e, values in zip(op.emits, stored):
            values.append(at(t, e.value, [a for a in e.axes if a != op.time], now))
        carried = {s.name: at(t, s.value, s.axes, now) for s in op.states}
    return [_emitted(op, e, values) for e, values in zip(op.emits, stored)]


def _emitted(op: ir.Recurrence, e: ir.Emit, values: list[torch.Tensor]) -> torch.Tensor:
    if op.time not in e.axes:
        return values[-1]
    return torch.stack(values[:: -1 if op.reverse else 1], e.axes.index(op.time))


def _library(op: ir.Library, memory: Tensors, double: bool) -> list[torch.Tensor]:
    space, name, overload = op.target.split(".")
    fn = getattr(getattr(getattr(torch.ops, space), name), overload)
    made = fn(*_resolved(op.args, memory), **{k: _resolved(v, memory) for k, v in op.kwargs})
    results = list(made) if isinstance(made, tuple | list) else [made]
    return [_lying(t, b) for t, b in zip(results, op.outs, strict=True)]


def _resolved(x: Any, memory: Tensors) -> Any:
    if isinstance(x, ir.Ref):
        seen = memory[x.buffer].as_strided(*x.view) if x.view else memory[x.buffer]
        return torch.view_as_complex(seen) if x.pairs else seen
    return (
        [_resolved(item, memory) for item in x]
        if isinstance(x, tuple) and any(isinstance(i, ir.Ref) for i in x)
        else (tuple(_resolved(item, memory) for item in x) if isinstance(x, tuple) else x)
    )


_RUN: dict[type, Callable[[Any, Tensors, bool], list[torch.Tensor]]] = {
    ir.Map: _map, ir.Reduce: _reduce, ir.Scan: _scan, ir.Contract: _contract, ir.Conv: _conv, ir.Pool: _pool,
    ir.Attention: _attention, ir.Recurrent: _recurrent, ir.Recurrence: _recurrence, ir.Library: _library,
}  # fmt: skip
