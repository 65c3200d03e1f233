"""ATen graphs to the tensor IR.

A lazy compiler: every node becomes a `Value`, an index -> expression function, or a stored buffer. Views cost nothing,
elementwise chains are inlined, and memory is given where it pays (values.py) or where an op reads whole buffers.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from kerf.core.types import KerfError
from kerf.kernels.graph import Graph, capture
from kerf.kernels.ir import Buffer, Library, Map, Op, Program, Role, outputs_of, reads_of
from kerf.kernels.lower import (  # noqa: F401  (importing them registers their lowerings)
    activations,
    attention,
    bags,
    complexes,
    creation,
    joins,
    linalg,
    losses,
    matmul,
    norms,
    pointwise,
    recurrent,
    reductions,
    resampling,
    scans,
    views,
    windows,
    writes,
)
from kerf.kernels.lower.complex_values import Complex, lying, of_pairs, pairs_of, part_type
from kerf.kernels.lower.constants import embedded
from kerf.kernels.lower.layout import found, laid, order_of, read_order, runs_along, settle
from kerf.kernels.lower.library import keep
from kerf.kernels.lower.matrix_unit import left_to_library
from kerf.kernels.lower.registry import ABOUT_STORAGE, LOWERINGS, Context, dtype_of
from kerf.kernels.lower.values import Builder, Value, axes_of, probe, stored
from kerf.kernels.lower.views import permuted
from kerf.kernels.tensors import flat_tensors


def lower(graph: Graph) -> Program:
    """The graph as a Program. Ops without a lowering become Library ops."""
    builder, values = Builder(), dict[torch.fx.Node, Any]()
    by_name = {node.name: node for node in graph.nodes.nodes}
    for node in graph.nodes.nodes:
        if node.op == "placeholder":
            values[node] = _placeholder(builder, graph, node)
        elif node.op == "call_function":
            values[node] = _lowered(builder, node, values)
    outputs = [
        _result(builder, values[by_name[n]], f"out_{n}", by_name[n].meta.get("val")) for n in graph.outputs
    ]
    updates = {
        _result(builder, values[by_name[n]], f"new_{key}").name: key for n, key in graph.updates.items()
    }
    return _program(builder, graph, [b.name for b in outputs], updates)


def lower_module(module: torch.nn.Module, inputs: Sequence[Any]) -> Program:
    """Capture, lower and simplify."""
    from kerf.kernels.rewrite import simplify

    return simplify(lower(capture(module, inputs)))


def _placeholder(builder: Builder, graph: Graph, node: torch.fx.Node) -> Any:
    if node.name in graph.constants:
        made_there = graph.constants[node.name]
        if made_there.is_complex():
            return Complex(embedded(made_there.real), embedded(made_there.imag))
        return embedded(made_there)
    tensor = node.meta.get("val")
    if not isinstance(tensor, torch.Tensor):
        return tensor
    key = graph.parameters.get(node.name)
    name = f"in_{node.name}" if key is None else f"p_{key}"
    role = Role.INPUT if key is None else Role.PARAM
    part = part_type(tensor.dtype)
    if part is not None:  # in memory the parts lie side by side
        lies = builder.declare(name, (*tensor.shape, 2), part, role, key or node.name)
        builder.buffers[lies.name] = lies = replace(lies, pairs=True)
        return of_pairs(stored(lies))
    order = read_order(tensor) if key is None else ()
    shape = tuple(tensor.shape[d] for d in order) or tuple(tensor.shape)
    return laid(builder.declare(name, shape, dtype_of(tensor.dtype), role, key or node.name, order), order)


def _lowered(builder: Builder, node: torch.fx.Node, values: dict[torch.fx.Node, Any]) -> Any:
    if node.target is operator.getitem:
        return values[node.args[0]][node.args[1]]  # type: ignore[index]
    if not list(flat_tensors(node.meta.get("val"))):
        return None
    made_of = list(flat_tensors(node.meta["val"]))
    outs = tuple((tuple(t.shape), part_type(t.dtype) or dtype_of(t.dtype)) for t in made_of)
    builder.hint = _readable(node.name)
    context = Context(builder, node, outs, values)
    args = torch.fx.map_arg(node.args, lambda n: values[n])
    kwargs = dict(torch.fx.map_arg(node.kwargs, lambda n: values[n]))
    if any(t.is_complex() for t in (*made_of, *_read(node))):
        return complexes.lowered(context, args, kwargs)
    made = _apply(context, args, kwargs)
    if isinstance(made, Value) and len(node.users) > 1:
        builder.reusable(made)  # in its own order, along which its readers mostly go
    return made


def _read(node: torch.fx.Node) -> list[torch.Tensor]:
    return list(flat_tensors([n.meta.get("val") for n in node.all_input_nodes]))


def _readable(name: str) -> str:
    """'_native_batch_norm_legit_functional_3' as 'batch_norm_3'."""
    for internal in ("_native", "native_", "_legit", "_functional", "_no_training", "_with_update"):
        name = name.replace(internal, "")
    return name.strip("_")


def _apply(context: Context, args: Any, kwargs: dict[str, Any]) -> Any:
    rule = LOWERINGS.get(str(context.node.target))
    if rule is not None and not left_to_library(context, args):
        try:
            return rule(context, *args, **{k: v for k, v in kwargs.items() if k not in ABOUT_STORAGE})
        except LookupError as reason:  # a case that the rule does not cover; bugs raise other things
            if isinstance(reason, KeyError | IndexError):
                raise
    return keep(context, args, kwargs)


def _result(builder: Builder, value: Value | Complex, name: str, like: Any = None) -> Buffer:
    """A buffer of its own with the role OUTPUT, copied only where the value is stored under another shape or role. In the order of memory
    of `like` where what it is computed from lies in that order too."""
    if isinstance(value, Complex):
        made = _result(builder, _pairs(builder, value), name, like)
        builder.buffers[made.name] = replace(made, pairs=True)
        return builder.buffers[made.name]
    if value.heavy:  # computing across memory costs more than computing along it and moving the results
        settle(builder, value)
    here = value.buffer
    order = order_of(like) if here is None else ()
    lying = found(builder, value, order) if order else None
    if lying is not None and lying.role is Role.TEMP and not _as_a_library_lays_it(builder, lying, order):
        here = replace(lying, order=order)
    elif order and runs_along(builder, value, order[-1]):
        moved = permuted(value, order)
        here = builder.declare(name, moved.shape, value.dtype, order=order)
        builder.ops.append(Map(here, axes_of(moved.shape), moved.at(probe(value.rank))))
        kept = laid(here, order)
        value.at, value.reshape_to = kept.at, kept.reshape_to
    elif here is None or here.shape != value.shape or builder.buffers[here.name].role is not Role.TEMP:
        here = builder.declare(name, value.shape, value.dtype)
        builder.ops.append(Map(here, axes_of(value.shape), value.at(probe(value.rank))))
        if value.buffer is None:
            kept = stored(here)
            value.at, value.buffer, value.reshape_to = kept.at, here, kept.reshape_to
    builder.buffers[here.name] = replace(here, role=Role.OUTPUT)
    return builder.buffers[here.name]


def _as_a_library_lays_it(builder: Builder, buffer: Buffer, order: tuple[int, ...]) -> bool:
    """Is it a library's result, whose dimensions are others than those in `order`?"""
    made = any(isinstance(op, Library) and buffer in op.outs for op in builder.ops)
    return made and buffer.order != order


def _pairs(builder: Builder, x: Complex) -> Value:
    """The value of one more dimension that lies in memory: as it is, if it does already."""
    held = lying(builder, x)
    return stored(builder.buffers[held.buffer]) if held and held.view is None else pairs_of(x)


def _program(builder: Builder, graph: Graph, outputs: list[str], updates: dict[str, str]) -> Program:
    ops = live(builder.ops, {*outputs, *updates})
    ops = tuple(with_buffers(op, builder.buffers) for op in ops)
    inputs = tuple(b.name for b in builder.buffers.values() if b.role is Role.INPUT)
    used = (
        {n for op in ops for n in reads_of(op)} | {b.name for op in ops for b in outputs_of(op)} | set(inputs)
    )
    buffers = {n: b for n, b in builder.buffers.items() if n in used}
    if not ops:
        raise KerfError("the module computes nothing")
    return Program(buffers, ops, inputs, tuple(outputs), updates, None, "lower")


def live(ops: Sequence[Op], wanted: set[str]) -> tuple[Op, ...]:
    """The ops that `wanted` buffers depend on."""
    needed, kept = set(wanted), []
    for op in reversed(ops):
        if any(b.name in needed for b in outputs_of(op)):
            needed.update(reads_of(op))
            kept.append(op)
    return tuple(reversed(kept))


def with_buffers(op: Op, buffers: dict[str, Buffer]) -> Op:
    """The op with its output buffers as declared now."""
    if isinstance(op, Library):
        return replace(op, outs=tuple(buffers[b.name] for b in op.outs))
    names = [k for k in ("out", "indices", "h_n", "c_n") if getattr(op, k, None) is not None]
    return replace(op, **{k: buffers[getattr(op, k).name] for k in names})  # type: ignore[arg-type]


__all__ = ["live", "lower", "lower_module", "with_buffers"]
