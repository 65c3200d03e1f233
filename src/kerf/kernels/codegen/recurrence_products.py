"""Recurrences with matrix products in a step: RNN cells of any form, written as loops.

Weights are packed once, the columns of all products that read the same left side lying side by side for the same hidden units, so
that one register tile ends with everything that those units' next state needs (as `recurrent.py`, after Appleyard et al., 2016).
A product that reads another, such as a candidate state behind a reset gate, waits for a pass of its own within the step.
Threads share the rows, which never wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

from kerf.kernels.codegen.expr import CTYPE, bound, memory_loads, stored
from kerf.kernels.codegen.recurrent_rows import Rows
from kerf.kernels.codegen.tail import MACROS, pointer, pointers, signature, unflattened
from kerf.kernels.codegen.template import Emitted, Packed
from kerf.kernels.codegen.vector import tile_function, vector_types
from kerf.kernels.ir import (
    Affine,
    Apply,
    DType,
    Expr,
    Group,
    Index,
    Load,
    Recurrence,
    Role,
    StepProduct,
    exprs_of,
    linear,
    loads,
    rename_axes,
    walk,
)
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import Chip

WIDEST = 4  # vectors of a register tile


@dataclass(frozen=True)
class Side:
    """Products with the same left side. `array`: the state that it is, or None where a pass before must write it; `turn`: the pass
    within a step that multiplies."""

    number: int
    left: Expr
    products: tuple[StepProduct, ...]
    array: str | None
    turn: int


@dataclass(frozen=True)
class Step:
    """A recurrence's step as passes over all its units."""

    group: Group
    op: Recurrence

    @property
    def rows(self) -> int:
        return prod(a.extent for a in self.op.axes[:-1])

    @property
    def units(self) -> int:
        return self.op.axes[-1].extent

    @cached_property
    def sides(self) -> tuple[Side, ...]:
        found: dict[Expr, list[StepProduct]] = {}
        for p in self.op.products:
            found.setdefault(p.left, []).append(p)
        turns: dict[str, int] = {}
        made: list[Side] = []
        for left, products in found.items():
            state = self._state(left, products[0])
            needs = [turns[ld.buffer] for ld in loads(left) if ld.buffer in turns]
            turn = 0 if state else 1 + max(needs, default=0)
            turns |= dict.fromkeys((p.name for p in products), turn)
            for k in range(0, len(products), WIDEST):
                made.append(Side(len(made), left, tuple(products[k : k + WIDEST]), state, turn))
        return tuple(made)

    def _state(self, left: Expr, p: StepProduct) -> str | None:
        """The state that a left side is."""
        plain = (*(Index(a.name) for a in self.op.axes[:-1]), Index(p.raxis.name))
        known = {s.name for s in self.op.states}
        return (
            left.buffer if isinstance(left, Load) and left.buffer in known and left.index == plain else None
        )

    def weight(self, p: StepProduct) -> Affine | None:
        """Where a product's weight lies in its buffer."""
        return linear(p.right, self.group.buffer(p.right.buffer)) if isinstance(p.right, Load) else None

    @property
    def weights(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(p.right.buffer for p in self.op.products if isinstance(p.right, Load)))


def _step(group: Group) -> Step | None:
    op = group.ops[0]
    if len(group.ops) != 1 or not isinstance(op, Recurrence) or not op.products or op.inner or op.sums:
        return None
    step = Step(group, op)
    column, rights = op.axes[-1], {id(p.right) for p in op.products}
    others = {ld.buffer for e in exprs_of(op) if id(e) not in rights for ld in loads(e)}
    fits = all(
        (form := step.weight(p)) is not None
        and set(form.coefficients) <= {column.name, p.raxis.name}
        and p.right.dtype is DType.F32
        and p.raxis.extent == column.extent
        for p in op.products
    )
    states = all(s.axes == op.axes and s.value.dtype is DType.F32 for s in op.states)
    return step if fits and states and others.isdisjoint(step.weights) else None


class RecurrenceProductsTemplate:
    name = "recurrence_products"

    def accepts(self, group: Group) -> bool:
        return _step(group) is not None

    def decisions(self, group: Group, chip: Chip, threads: int) -> tuple[Decision, ...]:
        step = _step(group)
        assert step is not None
        gates = max(len(s.products) for s in step.sides)
        most = max(1, min(WIDEST // gates, -(-step.units // chip.lanes)))
        units = tuple(n for n in (1, 2, 4) if n <= most)
        heights = {n: min(step.rows, _fit(gates * n, chip)) for n in units}
        best = min(reversed(units), key=lambda n: _cycles(step, n, heights[n], chip.lanes))
        rows = tuple(sorted({*heights.values(), *(max(1, n // 2) for n in heights.values())}))
        return Decision("units", units, best), Decision("rows", rows, heights[best])

    def emit(
        self, group: Group, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> Emitted:
        step = _step(group)
        assert step is not None
        return _Writer(step, choices, chip, threads, symbol).emit()


def _fit(vectors: int, chip: Chip) -> int:
    """Rows of a register tile: sums, beside at least a weight and a value."""
    return max(1, (chip.registers - 2) // vectors)


def _cycles(step: Step, units: int, height: int, lanes: int) -> tuple[float, int]:
    """What a step's tiles take at two multiplications or two loads a cycle; and how often the weights are read."""
    panels, tiles = -(-step.units // (units * lanes)), Rows(step.rows, 1, height).split(step.rows)
    vectors = [len(s.products) * units for s in step.sides]
    each = sum(n * max(r * v, r + v) for r, n in tiles.items() for v in vectors)
    return panels * each / 2, sum(tiles.values())


class _Writer:
    def __init__(
        self, step: Step, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> None:
        self.step, self.op, self.group, self.symbol = step, step.op, step.group, symbol
        self.lanes, self.H, self.B, self.T = chip.lanes, step.units, step.rows, step.op.time.extent
        self.units = int(choices["units"])
        self.wide = self.units * self.lanes
        self.panels = -(-self.H // self.wide)
        self.H_pad = self.panels * self.wide
        self.crews = max(1, min(threads, self.B))
        widest = max(len(s.products) for s in step.sides) * self.units
        self.rows = Rows(self.B, self.crews, min(int(choices["rows"]), _fit(widest, chip)))
        self.packed = all(self.group.buffer(n).role is Role.PARAM for n in step.weights)
        self.turns = max(s.turn for s in step.sides)
        self.axes = {a.name: a.name for a in (*self.op.axes, self.op.time)}

    def emit(self) -> Emitted:
        vectors = sorted({self._vectors(s) for s in self.step.sides})
        heights = self.rows.tiles
        pack = self._pack()
        scratch = 4 * sum(_up(n, 16) for n in self._arrays().values()) + (
            0 if self.packed else self._packed_bytes
        )
        code = [MACROS, vector_types(self.symbol, "float", self.lanes),
                *(tile_function(self.symbol, r, v, self.lanes) for v in vectors for r in heights),
                *(self.rows.product(self.symbol, v, self.lanes) for v in vectors), pack, self._part(), self._kernel()]  # fmt: skip
        work = sum(isinstance(e, Apply) for x in exprs_of(self.op) for e in walk(x))
        flops = self.T * self.B * self.H * (2.0 * self.H * len(self.op.products) + work)
        first = self.step.weights[0]
        packs = (
            (Packed(first, f"{self.symbol}_pack", self._packed_bytes, reads=self.step.weights),)
            if self.packed
            else ()
        )
        return Emitted("\n".join(code), self.symbol, scratch, packs, flops, float(self.group.bytes))

    # ------------------------------------------------------------ weights

    def _vectors(self, side: Side) -> int:
        return len(side.products) * self.units

    def _floats(self, side: Side) -> int:
        return self.panels * self.H * self._vectors(side) * self.lanes

    @property
    def _packed_bytes(self) -> int:
        return 4 * sum(self._floats(s) for s in self.step.sides)

    def _place(self, side: Side) -> int:
        """Where a side's weights start among all."""
        return sum(self._floats(s) for s in self.step.sides[: side.number])

    def _pack(self) -> str:
        """Every side: panels of H rows, in each the columns of its products for `wide` units side by side."""
        lines = [f"static void {self.symbol}_pack(const void *const *s, void *packed) {{"]
        for side in self.step.sides:
            lines += self._pack_side(side)
        return "\n".join([*lines, "}", ""])

    def _pack_side(self, side: Side) -> list[str]:
        n, gates, width = self.lanes, len(side.products), self._vectors(side) * self.lanes
        lines = [f"    for (long panel = 0; panel < {self.panels}; panel++) for (long v = 0; v < {self.units}; v++) for (long l = 0; l < {n}; l++) {{",
                 f"        const long u = panel * {self.wide} + v * {n} + l;",
                 f"        float *restrict p = (float *)packed + {self._place(side)}L + panel * {self.H * width}L + v * {gates * n} + l;",
                 f"        for (long k = 0; k < {self.H}; k++, p += {width}) {{"]  # fmt: skip
        for g, product in enumerate(side.products):
            form = self.step.weight(product)
            assert form is not None and isinstance(product.right, Load)
            source = self.step.weights.index(product.right.buffer)
            place = (
                f"{form.offset}L + u * {form.of(self.op.axes[-1].name)}L + k * {form.of(product.raxis.name)}L"
            )
            lines.append(
                f"            p[{g * n}] = u < {self.H} ? ((const float *)s[{source}])[{place}] : 0;"
            )
        return [*lines, "        }", "    }"]

    # ------------------------------------------------------------ scratch

    def _arrays(self) -> dict[str, int]:
        """Arrays of float32, shared by the threads, who use disjoint rows."""
        states = {f"a_{s.name}": 2 * self.B * self.H_pad for s in self.op.states}
        lefts = {f"left_{s.number}": self.B * self.H_pad for s in self.step.sides if s.array is None}
        return states | lefts | {f"y_{s.number}": self.B * self.panels * self._vectors(s) * self.lanes for s in self.step.sides}  # fmt: skip

    # ------------------------------------------------------------ one part of the rows, all steps

    def _part(self) -> str:
        ins = [f"const float *restrict {pointer(b.name)}" if self.packed and b.name in self.step.weights
               else f"const {CTYPE[b.dtype]} *restrict {pointer(b.name)}" for b in self.group.inputs]  # fmt: skip
        outs = [f"{CTYPE[b.dtype]} *restrict {pointer(b.name)}" for b in self.group.outputs]
        lines = [
            f"static void {self.symbol}_rows({', '.join([*ins, *outs])}, const float *restrict weights, float *restrict scratch, long b0, long b1) {{"
        ]
        at = 0
        for name, size in self._arrays().items():
            lines.append(f"    float *const {name} = scratch + {at};")
            at += _up(size, 16)
        step = f"{self.T - 1} - s_" if self.op.reverse else "s_"
        lines += [*self._start(), f"    for (long s_ = 0; s_ < {self.T}; s_++) {{",
                  f"        const long {self.op.time.name} = {step};", f"        (void){self.op.time.name};"]  # fmt: skip
        for s in self.op.states:
            lines += [f"        float *const h_{s.name} = a_{s.name} + s_ % 2 * {self.B * self.H_pad}L;",
                      f"        float *const n_{s.name} = a_{s.name} + (s_ + 1) % 2 * {self.B * self.H_pad}L;"]  # fmt: skip
        for turn in range(self.turns + 1):
            lines += self._pass(turn)
        return "\n".join([*lines, "    }", "}", ""])

    def _rows(self, indent: str) -> list[str]:
        """C that declares the loops of a row from its number b."""
        names = [a.name for a in self.op.axes[:-1]]
        return unflattened("b", [a.extent for a in self.op.axes[:-1]], names, indent)

    def _start(self) -> list[str]:
        memory = self._loads()
        column = self.op.axes[-1].name
        lines = ["    for (long b = b0; b < b1; b++) {", *self._rows("        "),
                 f"        for (long {column} = 0; {column} < {self.H}; {column}++) {{"]  # fmt: skip
        for k, s in enumerate(self.op.states):
            made, result = bound(s.initial, self.axes, memory, " " * 12, f"i{k}_")
            lines += [*made, f"            a_{s.name}[b * {self.H_pad} + {column}] = {result};"]
        return [*lines, "        }", "    }"]

    def _pass(self, turn: int) -> list[str]:
        """The products of one turn, panel by panel, each followed by what can be computed from them."""
        sides = [s for s in self.step.sides if s.turn == turn]
        values = self._values(turn)
        if not sides and not values:
            return []
        lines = [f"        for (long p = 0; p < {self.panels}; p++) {{"]
        for s in sides:
            width = self._vectors(s) * self.lanes
            array = f"left_{s.number}" if s.array is None else f"h_{s.array}"
            lines.append(
                f"            {self.symbol}_product{self._vectors(s)}(b1 - b0, {self.H}, {array} + b0 * {self.H_pad}, {self.H_pad}, weights + {self._place(s)}L + p * {self.H * width}L, y_{s.number} + (p * {self.B} + b0) * {width}, 0);"
            )
        if values:
            lines += self._points(values)
        return [*lines, "        }"]

    def _values(self, turn: int) -> list[tuple[str, Expr, DType]]:
        """C places, and what is stored there after the products of a turn. Left sides are written where their products' own
        turn is next."""
        column = self.op.axes[-1].name
        made: list[tuple[str, Expr, DType]] = []
        for s in self.step.sides:
            if s.array is None and s.turn == turn + 1:
                left = rename_axes(s.left, {s.products[0].raxis.name: Index(column)})
                made.append((f"left_{s.number}[b * {self.H_pad} + {column}]", left, DType.F32))
        if turn == self.turns:
            made += [(f"n_{s.name}[b * {self.H_pad} + {column}]", s.value, DType.F32) for s in self.op.states]
            for e in self.op.emits:
                place = _offset(e.out.strides, [a.name for a in e.axes])
                made.append((f"{pointer(e.out.name)}[{place}]", e.value, e.out.dtype))
        return made

    def _points(self, values: list[tuple[str, Expr, DType]]) -> list[str]:
        column, n = self.op.axes[-1].name, self.lanes
        body = [f"const long {column} = first + l;"]
        lines, results = self._bound([e for _, e, _ in values])
        body += lines
        body += [f"{place} = {stored(r, dtype)};" for (place, _, dtype), r in zip(values, results)]
        out = ["            for (long b = b0; b < b1; b++) {", *self._rows(" " * 16),
               f"                for (long v = 0; v < {self.units}; v++) {{",
               f"                    const long first = p * {self.wide} + v * {n};"]  # fmt: skip
        if self.H % n:
            rest = f"for (long l = 0; l < {self.H} - first; l++) {{"
            out += [f"                    if (first + {n} > {self.H}) {{", " " * 24 + rest,
                    *(" " * 28 + line for line in body), " " * 24 + "}", " " * 24 + "continue;", " " * 20 + "}"]  # fmt: skip
        elif self.H % self.wide:
            out.append(f"                    if (first >= {self.H}) break;")
        return [*out, " " * 20 + "#pragma omp simd", " " * 20 + f"for (long l = 0; l < {n}; l++) {{",
                *(" " * 24 + line for line in body), " " * 20 + "}", " " * 16 + "}", " " * 12 + "}"]  # fmt: skip

    def _bound(self, values: list[Expr]) -> tuple[list[str], list[str]]:
        """C that computes several values, what they share once."""
        memory, lines, results = self._loads(), list[str](), list[str]()
        names: dict[Expr, str] = {}
        for k, e in enumerate(values):
            if e not in names:
                made, names[e] = bound(e, self.axes, memory, "", f"e{k}_")
                lines += made
            results.append(names[e])
        return lines, results

    def _loads(self) -> Callable[[Load], str]:
        column, n = self.op.axes[-1].name, self.lanes
        known = {s.name: f"h_{s.name}[b * {self.H_pad} + {column}]" for s in self.op.states}
        for s in self.step.sides:
            width, gates = self._vectors(s) * n, len(s.products)
            known |= {p.name: f"y_{s.number}[(p * {self.B} + b) * {width} + v * {gates * n} + {g * n} + l]" for g, p in enumerate(s.products)}  # fmt: skip
        memory = memory_loads(self.group.buffer, self.axes, pointers(self.group))
        return lambda ld: known.get(ld.buffer) or memory(ld)

    # ------------------------------------------------------------ the kernel

    def _kernel(self) -> str:
        names = [pointer(b.name) for b in (*self.group.inputs, *self.group.outputs)]
        first = pointer(self.step.weights[0])
        types = {self.step.weights[0]: "float"} if self.packed else {}
        lines = [signature(self.group, self.symbol, types), "{", "    (void)threads;"]
        weights = first
        if not self.packed:
            weights = "packed"
            at = 4 * sum(_up(n, 16) for n in self._arrays().values())
            sources = ", ".join(pointer(n) for n in self.step.weights)
            lines += [f"    float *const packed = (float *)(scratch + {at}L);",
                      f"    {self.symbol}_pack((const void *const[]){{{sources}}}, packed);"]  # fmt: skip
        call = f"{self.symbol}_rows({', '.join([*names, weights])}, (float *)scratch, "
        if self.crews == 1:
            return "\n".join([*lines, f"    {call}0, {self.B});", "}", ""])
        part = f"{self.B} * i / {self.crews}, {self.B} * (i + 1) / {self.crews}"
        return "\n".join([*lines, f"    #pragma omp parallel for num_threads({self.crews}) schedule(static)",
                          f"    for (long i = 0; i < {self.crews}; i++) {call}{part});", "}", ""])  # fmt: skip


def _offset(strides: tuple[int, ...], names: list[str]) -> str:
    return " + ".join(n if s == 1 else f"{s}L * {n}" for s, n in zip(strides, names)) or "0"


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


TEMPLATE = RecurrenceProductsTemplate()
