"""What follows the main op of a group: elementwise maps at the identity index, applied to each element of its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kerf.kernels.codegen.expr import CTYPE, always_inside, bound, ctype, memory_loads, stored
from kerf.kernels.ir import (
    Buffer,
    Const,
    Expr,
    Group,
    Index,
    Load,
    Map,
    Op,
    exprs_of,
    loads,
    outputs_of,
)

MACROS = """#ifndef KF_MIN_L
#define KF_MIN_L(a, b) ((a) < (b) ? (a) : (b))
#define KF_MAX_L(a, b) ((a) > (b) ? (a) : (b))
#endif
"""


def pointer(buffer: str) -> str:
    """The C name of a buffer's pointer: apart from the loop variables, which buffers might otherwise be called like."""
    return f"p_{buffer}"


def pointers(group: Group) -> dict[str, str]:
    return {b.name: pointer(b.name) for b in (*group.inputs, *group.outputs)}


@dataclass(frozen=True)
class Tail:
    """`main` is the group's first op; `maps` read its result (and each other's) only at their own element."""

    group: Group
    main: Op
    maps: tuple[Map, ...]

    @property
    def out(self) -> Buffer:
        return outputs_of(self.main)[0]

    @property
    def direct(self) -> bool:
        """Can the main op store its result as it computes it, with nothing to apply or convert?"""
        return not self.maps and self.out.dtype.compute is self.out.dtype

    def lines(self, value: str, position: Sequence[str], offset: str, indent: str) -> list[str]:
        """C statements that take one element `value` of the main result (in its compute type) through the maps and store
        what the group outputs. `position`: C variables of its index; `offset`: C of its flat offset."""
        group, names = self.group, {self.out.name: value}
        kept = {b.name for b in group.outputs}
        made: list[str] = []
        if self.out.name in kept:
            made.append(f"{indent}{pointer(self.out.name)}[{offset}] = {stored(value, self.out.dtype)};")
        for number, op in enumerate(self.maps):
            axes = {axis.name: code for axis, code in zip(op.axes, position, strict=True)}
            memory = memory_loads(group.buffer, axes, pointers(group))

            def load(ld: Load, memory: Callable[[Load], str] = memory) -> str:
                return names.get(ld.buffer) or memory(ld)

            inside = always_inside(op.axes, group.buffer, names)
            statements, result = bound(op.value, axes, load, indent, f"e{number}_", inside)
            made += statements
            names[op.out.name] = f"r{number}"
            made.append(f"{indent}const {ctype(op.out.dtype)} r{number} = {result};")
            if op.out.name in kept:
                made.append(
                    f"{indent}{pointer(op.out.name)}[{offset}] = {stored(f'r{number}', op.out.dtype)};"
                )
        return made


def split(group: Group, kind: type) -> Tail | None:
    """`group` as one op of `kind` and its elementwise tail, or None where it is not of that form."""
    main, *rest = group.ops
    if not isinstance(main, kind) or not all(isinstance(op, Map) for op in rest):
        return None
    assert not isinstance(main, Map)
    maps = tuple(op for op in rest if isinstance(op, Map))
    out = outputs_of(main)[0]
    made = {b.name for op in group.ops for b in outputs_of(op)}
    readable = {out.name} | {m.out.name for m in maps}
    for m in maps:
        if m.out.shape != out.shape:
            return None
        inner = [ld for ld in loads(m.value) if ld.buffer in made]
        if any(ld.buffer not in readable or not _identity(ld, m) for ld in inner):
            return None
    if any(ld.buffer in made for e in exprs_of(main) for ld in loads(e)):
        return None
    return Tail(group, main, maps)


def _identity(load: Load, op: Map) -> bool:
    return all(_same(index, axis.name, axis.extent) for index, axis in zip(load.index, op.axes, strict=True))


def _same(index: Expr, axis: str, extent: int) -> bool:
    return index == Index(axis) or (extent == 1 and isinstance(index, Const))


def signature(group: Group, symbol: str, packed: dict[str, str] | None = None) -> str:
    """The C declaration of the kernel function; `packed` gives the element type of parameters that arrive packed."""
    types = packed or {}
    ins = [f"const {types.get(b.name, CTYPE[b.dtype])} *restrict {pointer(b.name)}" for b in group.inputs]
    outs = [f"{CTYPE[b.dtype]} *restrict {pointer(b.name)}" for b in group.outputs]
    return f"static void {symbol}({', '.join([*ins, *outs, 'char *restrict scratch, int threads'])})"


def unflattened(flat: str, shape: Sequence[int], names: Sequence[str], indent: str) -> list[str]:
    """C that declares the index `names` of the flat position `flat` in an array of `shape`."""
    lines, rest = [], flat
    for k in range(len(shape) - 1, 0, -1):
        lines.append(f"{indent}const long {names[k]} = {rest} % {shape[k]};")
        rest = f"{rest} / {shape[k]}"
    if shape:
        lines.append(f"{indent}const long {names[0]} = {rest};")
    return lines
