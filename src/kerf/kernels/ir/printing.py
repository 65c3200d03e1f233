"""The IR as text, for golden tests and reports."""

from __future__ import annotations

from kerf.kernels.ir.buffers import Axis, Buffer, Role
from kerf.kernels.ir.expr import Apply, Const, Expr, Index, Load
from kerf.kernels.ir.ops import (
    Contract,
    Library,
    Map,
    Op,
    Program,
    Recurrence,
    Reduce,
    Scan,
    outputs_of,
    values_of,
)


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
    lines += [
        f"{p.name} = product({_loops((p.raxis,))}) {text(p.left)} * {text(p.right)}" for p in op.products
    ]
    lines += [f"{s.name} = sum({_loops(s.raxes)}) {text(s.value)}" for s in op.sums]
    lines += [f"{e.out.name}[{', '.join(a.name for a in e.axes)}] = {text(e.value)}" for e in op.emits]
    inner = f" | {_loops(op.inner)}" if op.inner else ""
    way = ".reverse" if op.reverse else ""
    return f"{way}({_loops(op.axes)} | {_loops((op.time,))}{inner}) " + "; ".join(lines)
