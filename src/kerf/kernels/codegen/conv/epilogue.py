"""What happens to a finished run of sums: bias, the group's elementwise ops, conversion to the storage type, the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kerf.kernels.codegen.conv.geometry import Geometry
from kerf.kernels.codegen.expr import CTYPE, always_inside, bound, ctype, loaded, memory_loads, stored
from kerf.kernels.ir import Buffer, Const, Conv, Expr, Group, Index, Load, Map, linear, loads, walk


@dataclass(frozen=True)
class Epilogue:
    group: Group
    geometry: Geometry

    @property
    def conv(self) -> Conv:
        op = self.group.ops[0]
        assert isinstance(op, Conv)
        return op

    @property
    def ops(self) -> tuple[Conv | Map, ...]:
        return (self.conv, *self.maps)

    @property
    def maps(self) -> tuple[Map, ...]:
        return tuple(op for op in self.group.ops[1:] if isinstance(op, Map))

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        """What the epilogue reads from memory and what it writes."""
        made = {op.out.name for op in self.ops}
        read = {ld.buffer for m in self.maps for ld in loads(m.value)} - made
        read |= {self.conv.bias} if self.conv.bias else set()
        return (*(b for b in self.group.inputs if b.name in read), *self.group.outputs)

    @property
    def parameters(self) -> str:
        """The buffers as C parameters, for every generated function on the way to the epilogue."""
        outs = {b.name for b in self.group.outputs}
        return ", ".join(
            f"{'' if b.name in outs else 'const '}{CTYPE[b.dtype]} *restrict {pointer(b.name)}"
            for b in self.buffers
        )

    @property
    def arguments(self) -> str:
        return ", ".join(pointer(b.name) for b in self.buffers)

    @property
    def flat(self) -> bool:
        """Whether no expression tells d, h and w apart, so that a run may span rows (w is then the position in the plane)."""
        return all(_is_flat(m, self.group) for m in self.maps)

    def code(self, symbol: str, staged: bool = False) -> str:
        """`SYMBOL_finish(acc, buffers, n, o, d, h, w, count)`: `count` finished sums along w. `staged`: what is written is passed as
        that row's place, not the tensor's start."""
        g, kind = self.geometry, ctype(self.conv.out.dtype)
        bias = (
            f" + {loaded(pointer(self.conv.bias) + '[o]', self.group.buffer(self.conv.bias).dtype)}"
            if self.conv.bias
            else ""
        )
        lines = [
            "/* The epilogue of `count` sums of filter o at (n, d, h, w ...). */",
            f"static inline __attribute__((always_inline)) void {symbol}_finish(const {kind} *restrict acc, {self.parameters},",
            "    long n, long o, long d, long h, long w, long count)",
            "{",
            f"    const long plane = (d * {g.outside[1]} + h) * {g.outside[2]}L + w;",
            f"    const long at = {'0' if staged else f'(n * {g.filters} + o) * {g.out_plane}L + plane'};",
            '    _Pragma("GCC ivdep")',
            "    for (long i = 0; i < count; i++) {",
            f"        const {kind} {value(self.conv.out.name)} = acc[i]{bias};",
            *self._stores(self.conv.out),
        ]
        for number, op in enumerate(self.maps):
            lines += self._map(op, number)
        return "\n".join([*lines, "    }", "    (void)d; (void)h; (void)at;", "}", ""])

    def _map(self, op: Map, number: int) -> list[str]:
        made = {m.out.name for m in self.ops}
        memory = memory_loads(
            self.group.buffer, self._axes(op), {b.name: pointer(b.name) for b in self.buffers}
        )
        body, result = bound(
            op.value,
            self._axes(op),
            lambda ld: value(ld.buffer) if ld.buffer in made else memory(ld),
            " " * 8,
            f"t{number}_",
            always_inside(op.axes, self.group.buffer, made),
        )
        return [
            *body,
            f"        const {ctype(op.out.dtype)} {value(op.out.name)} = {result};",
            *self._stores(op.out),
        ]

    def _stores(self, out: Buffer) -> list[str]:
        kept = any(b.name == out.name for b in self.group.outputs)
        return (
            [f"        {pointer(out.name)}[at + i] = {stored(value(out.name), out.dtype)};"] if kept else []
        )

    def _axes(self, op: Map) -> Mapping[str, str]:
        spatial = ["0", "0", "(plane + i)"] if self.flat else ["d", "h", "(w + i)"]
        names = ["n", "o", *spatial[5 - len(op.axes) :]]
        return {a.name: n for a, n in zip(op.axes, names, strict=True)}


def signature(group: Group, kind: str, once: bool) -> str:
    """The kernel's buffers as C parameters, in the order of the template's contract."""
    conv = group.ops[0]
    assert isinstance(conv, Conv)
    types = {b.name: CTYPE[b.dtype] for b in group.inputs} | ({conv.weight: kind} if once else {})
    ins = [f"const {types[b.name]} *restrict {pointer(b.name)}" for b in group.inputs]
    return ", ".join([*ins, *(f"{CTYPE[b.dtype]} *restrict {pointer(b.name)}" for b in group.outputs)])


def pointer(buffer: str) -> str:
    """The C name of a buffer's pointer; the suffix keeps it apart from loop variables."""
    return f"{buffer}_"


def value(buffer: str) -> str:
    """The C name of the current element of a buffer made in the epilogue."""
    return f"{buffer}_now"


def accepts(group: Group) -> bool:
    """A conv, then maps of its shape that read what the group made at the position they write."""
    first = group.ops[0]
    if not isinstance(first, Conv) or not first.out.dtype.is_float:
        return False
    made = {first.out.name}
    for op in group.ops[1:]:
        if not isinstance(op, Map) or tuple(a.extent for a in op.axes) != first.out.shape:
            return False
        if not all(_is_identity(ld, op) for ld in loads(op.value) if ld.buffer in made):
            return False
        made.add(op.out.name)
    return True


def _is_identity(load: Load, op: Map) -> bool:
    return len(load.index) == len(op.axes) and all(
        i == Index(a.name) or (a.extent == 1 and i == Const(0, i.dtype))
        for i, a in zip(load.index, op.axes, strict=True)
    )


def _is_flat(op: Map, group: Group) -> bool:
    made = {o.out.name for o in group.ops if isinstance(o, Conv | Map)}
    memory = [ld for ld in loads(op.value) if ld.buffer not in made]
    spatial = {a.name for a in op.axes[2:]}
    return all(_strides_flat(ld, op, group) for ld in memory) and not _bare_index(op.value, spatial)


def _strides_flat(load: Load, op: Map, group: Group) -> bool:
    """The load's offset runs along the plane as the output does, or not at all."""
    form = linear(load, group.buffer(load.buffer))
    if form is None:
        return False
    spatial = [(a, s) for a, s in zip(op.axes[2:], op.out.strides[2:], strict=True) if a.extent > 1]
    steps = [form.of(a.name) for a, _ in spatial]
    contiguous = steps == [s for _, s in spatial] and (not spatial or spatial[-1][0] is op.axes[-1])
    return contiguous or not any(steps)


def _bare_index(expr: Expr, names: set[str]) -> bool:
    """An axis of `names` used outside a load's index."""
    if isinstance(expr, Load):
        return any(isinstance(e, Load) for i in expr.index for e in walk(i))
    if isinstance(expr, Index):
        return expr.axis in names
    return any(_bare_index(a, names) for a in getattr(expr, "args", ()))
