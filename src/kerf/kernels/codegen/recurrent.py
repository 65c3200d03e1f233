"""LSTM, GRU and plain RNN layers: the input projections of a block of time steps as one matrix product, then step by step
h times W_hh with the gates fused. Weights are packed once, gates of the same hidden units side by side, so that one register
tile ends with everything that those units' state needs (the idea of Appleyard et al., "Optimizing Performance of Recurrent
Neural Networks on GPUs", 2016, in its CPU form)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kerf.kernels.codegen.expr import CTYPE, loaded, stored
from kerf.kernels.codegen.recurrent_cells import CELLS
from kerf.kernels.codegen.recurrent_rows import Rows
from kerf.kernels.codegen.tail import MACROS, Tail, pointer, signature, split
from kerf.kernels.codegen.template import Emitted, Packed
from kerf.kernels.codegen.vector import tile_function, vector_types
from kerf.kernels.ir import Buffer, DType, Group, Recurrent, Role
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import Chip

UNITS_WORK = 1 << 19  # multiplications of a thread in a step, above which a barrier is cheap
UNITS_TILES = 3  # register tiles of rows a thread
FLOATS = (DType.F32, DType.F16, DType.BF16)


class RecurrentTemplate:
    name = "recurrent"

    def accepts(self, group: Group) -> bool:
        tail = split(group, Recurrent)
        return tail is not None and all(b.dtype in FLOATS for b in (*group.inputs, tail.out))

    def decisions(self, group: Group, chip: Chip, threads: int) -> tuple[Decision, ...]:
        op, batch, steps = _parts(group)
        cell = CELLS[op.cell]
        units = max(1, min(4 // cell.gates, -(-op.hidden // chip.lanes)))
        most = max(1, (chip.registers - cell.gates * units - 1) // (cell.gates * units))
        rows = tuple(sorted({max(1, min(most, batch)), max(1, most // 2), -(-batch // -(-batch // most))}))
        blocks = tuple(n for n in (1, 4, 16, 64) if n < 2 * steps) or (1,)
        per_step = 4 * batch * cell.gates * op.hidden
        fits = [n for n in blocks if n <= 16 and n * per_step <= chip.l3_bytes // 2] or [blocks[0]]
        made = [
            Decision("rows", rows, -(-batch // -(-batch // most))),
            Decision("time_block", blocks, fits[-1]),
        ]
        if threads > 1:
            made.append(_split_of(op, batch, most, chip, threads))
        return tuple(made)

    def emit(
        self, group: Group, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> Emitted:
        tail = split(group, Recurrent)
        assert tail is not None
        return _Writer(tail, choices, chip, threads, symbol).emit()


def _split_of(op: Recurrent, batch: int, tile: int, chip: Chip, threads: int) -> Decision:
    """What the threads share. Directions wait for each other between layers only, batch rows never: but every core then reads all
    weights, for fewer rows. Hidden units wait at every step, which costs milliseconds while another process holds a core: only where
    steps are long, and rows few or weights too many for a core's cache."""
    ways = ("batch", "units") + (("directions",) if op.bidirectional and threads % 2 == 0 else ())
    if "directions" in ways and batch >= threads // 2:
        return Decision("parallel", ways, "directions")
    weights = CELLS[op.cell].gates * op.hidden**2
    far = 4 * weights >= chip.l2_bytes // 2 and batch < UNITS_TILES * tile * threads
    units = batch * weights > UNITS_WORK * threads and (far or batch < threads)
    return Decision("parallel", ways, "units" if units else "batch")


def _parts(group: Group) -> tuple[Recurrent, int, int]:
    """The op, its batch size and its number of time steps."""
    op = group.ops[0]
    assert isinstance(op, Recurrent)
    shape = group.buffer(op.x).shape
    return (op, shape[0], shape[1]) if op.batch_first else (op, shape[1], shape[0])


class _Writer:
    def __init__(
        self, tail: Tail, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> None:
        self.tail, self.group, self.threads, self.symbol, self.lanes = (
            tail,
            tail.group,
            threads,
            symbol,
            chip.lanes,
        )
        self.op, self.B, self.T = _parts(tail.group)
        op = self.op
        self.cell, self.H, self.D = CELLS[op.cell], op.hidden, 2 if op.bidirectional else 1
        self.I = self.group.buffer(op.x).shape[-1]
        self.units = max(
            1, min(4 // self.cell.gates, -(-self.H // self.lanes))
        )  # vectors of hidden units in a panel
        self.vectors = self.units * self.cell.gates
        self.width, self.wide = self.vectors * self.lanes, self.units * self.lanes
        self.panels = -(-self.H // self.wide)
        self.H_pad, self.row = self.panels * self.wide, self.panels * self.width
        self.block = min(int(choices["time_block"]), self.T)
        self.parallel = str(choices["parallel"]) if threads > 1 else ""
        self.by_units, self.by_directions = self.parallel == "units", self.parallel == "directions"
        self.ways = 2 if self.by_directions else 1
        self.crews = {"batch": threads, "directions": threads // 2}.get(
            self.parallel, 1
        )  # that share the batch
        self.rows = Rows(self.B, self.crews, int(choices["rows"]))
        weights = [n for four in op.weights for n in four if n]
        self.packed = all(self.group.buffer(n).role is Role.PARAM for n in weights)
        self.convert = self.group.buffer(op.x).dtype is not DType.F32

    def emit(self) -> Emitted:
        s = self.symbol
        packs, wrappers = self._packs()
        code = [MACROS, vector_types(s, "float", self.lanes), *(tile_function(s, r, self.vectors, self.lanes) for r in self.rows.tiles),
                self.rows.product(s, self.vectors, self.lanes), self._pack_functions(), wrappers, self._gates(), *self._parts(), self._kernel(packs)]  # fmt: skip
        ins = [self.I] + [self.D * self.H] * (self.op.layers - 1)
        flops = sum(2.0 * self.T * self.B * self.cell.gates * self.H * (k + self.H) * self.D for k in ins)
        moved = float(self.group.bytes)
        scratch = 4 * (sum(_up(n, 16) for n in self._arrays().values())) + (
            0 if self.packed else sum(p.bytes for p in packs)
        )
        return Emitted(
            "\n".join(c for c in code if c), s, scratch, tuple(packs) if self.packed else (), flops, moved
        )

    # ------------------------------------------------------------ packing of weights

    def _packs(self) -> tuple[list[Packed], str]:
        """What is packed, and one C function for each."""
        packs, code = [], []
        for number, (w_ih, w_hh, b_ih, b_hh) in enumerate(self.op.weights):
            for kind, name in (("x", w_ih), ("h", w_hh)):
                b = self.group.buffer(name)
                symbol = f"{self.symbol}_pack_{kind}{number}"
                code.append(_wrapper(symbol, f"{self.symbol}_pack_{b.dtype.value}(s[0], p, {b.shape[1]})"))
                packs.append(Packed(name, symbol, 4 * self.panels * b.shape[1] * self.width))
            if b_ih:
                symbol = f"{self.symbol}_pack_b{number}"
                kinds = [self.group.buffer(n).dtype for n in (b_ih, b_hh)]
                assert kinds[0] is kinds[1], "both biases of a layer have one dtype"
                code.append(_wrapper(symbol, f"{self.symbol}_pack_bias_{kinds[0].value}(s[0], s[1], p)"))
                packs.append(Packed(b_ih, symbol, 4 * (self.row + self.H_pad), reads=(b_ih, b_hh)))
        return packs, "\n".join(code)

    def _pack_functions(self) -> str:
        kinds = dict.fromkeys(self.group.buffer(n).dtype for four in self.op.weights for n in four[:2])
        biases = dict.fromkeys(self.group.buffer(n).dtype for four in self.op.weights for n in four[2:] if n)
        return "\n".join([*(self._pack_weights(k) for k in kinds), *(self._pack_biases(k) for k in biases)])

    def _pack_loops(self, body: str) -> list[str]:
        """Over all panels, unit vectors, gates and lanes: `at` in a panel row, `u` the hidden unit, `g` the gate."""
        return [f"    for (long panel = 0; panel < {self.panels}; panel++) for (long v = 0; v < {self.units}; v++)",
                f"        for (long g = 0; g < {self.cell.gates}; g++) for (long l = 0; l < {self.lanes}; l++) {{",
                f"            const long at = (v * {self.cell.gates} + g) * {self.lanes} + l, u = panel * {self.wide} + v * {self.lanes} + l;",
                f"            {body}", "        }"]  # fmt: skip

    def _pack_weights(self, kind: DType) -> str:
        value = loaded(f"w[(g * {self.H} + u) * k + j]", kind)
        body = f"for (long j = 0; j < k; j++) p[(panel * k + j) * {self.width} + at] = u < {self.H} ? {value} : 0;"
        return "\n".join([f"/* (gates * hidden, k) -> panels of k rows: the gates of {self.wide} hidden units side by side */",
                          f"static void {self.symbol}_pack_{kind.value}(const {CTYPE[kind]} *restrict w, float *restrict p, long k) {{",
                          *self._pack_loops(body), "}", ""])  # fmt: skip

    def _pack_biases(self, kind: DType) -> str:
        """Biases that are always added together are added here; `apart` keeps the one inside a GRU's product."""
        a, b = (loaded(f"{n}[g * {self.H} + u]", kind) for n in ("bi", "bh"))
        inner = "g == 2" if self.cell.apart else "0"
        body = f"const float hidden = u < {self.H} ? {b} : 0; p[panel * {self.width} + at] = (u < {self.H} ? {a} : 0) + ({inner} ? 0 : hidden); if ({inner}) apart[u] = hidden;"
        t = CTYPE[kind]
        return "\n".join([f"static void {self.symbol}_pack_bias_{kind.value}(const {t} *restrict bi, const {t} *restrict bh, float *restrict p) {{",
                          f"    float *const apart = p + {self.row};", "    (void)apart;", *self._pack_loops(body), "}", ""])  # fmt: skip

    # ------------------------------------------------------------ products and gates

    def _gates(self) -> str:
        """The next state of the units of one panel, for one batch row."""
        n, gates = self.lanes, self.cell.gates
        bias = self.op.weights[0][2] != ""
        names = {
            f"x{g}": f"x[(v * {gates} + {g}) * {n} + l]"
            + (f" + bias[(v * {gates} + {g}) * {n} + l]" if bias else "")
            for g in range(gates)
        }
        if self.cell.apart:
            names |= {f"h{g}": f"y[(v * {gates} + {g}) * {n} + l]" for g in range(gates)}
            names["h2"] += f" + apart[v * {n} + l]" if bias else ""
        return "\n".join([f"static inline void {self.symbol}_gates(const float *restrict x, const float *restrict y, const float *restrict bias,",
                          "        const float *restrict apart, const float *restrict h, float *restrict c, float *restrict next) {",
                          "    (void)y; (void)bias; (void)apart; (void)h; (void)c;",
                          f"    for (long v = 0; v < {self.units}; v++)", "        #pragma GCC ivdep", f"        for (long l = 0; l < {n}; l++) {{",
                          f"            const long u = v * {n} + l;", *(f"            const float {k} = {v};" for k, v in names.items()),
                          *(f"            {ln}" for ln in self.cell.lines), "        }", "}", ""])  # fmt: skip

    # ------------------------------------------------------------ one layer, for some batch rows, panels and directions

    def _arrays(self) -> dict[str, int]:
        """Arrays of float32 in scratch, shared by the threads, who use disjoint rows, panels or directions."""
        sequence = self.T * self.B * self.D * self.H if self.op.layers > 1 else 0
        return {n: size * self.ways for n, size in self._of_direction().items()} | {
                "even": sequence, "odd": sequence if self.op.layers > 2 else 0,
                "input": self.T * self.B * self.I if self.convert else 0}  # fmt: skip

    def _of_direction(self) -> dict[str, int]:
        """What each direction has for itself where they run at once."""
        return {"states": 2 * self.B * self.H_pad, "cells": self.B * self.H_pad if self.cell.memory else 0,
                "inner": self.block * self.B * self.row, "own": self.B * self.row if self.cell.apart else 0}  # fmt: skip

    def _sync(self, indent: str) -> list[str]:
        return [f"{indent}#pragma omp barrier"] if self.by_units else []

    def _parameters(self) -> str:
        types = self._types()
        ins = [
            f"const {types.get(b.name, CTYPE[b.dtype])} *restrict {pointer(b.name)}"
            for b in self.group.inputs
        ]
        return ", ".join(
            [*ins, *(f"{CTYPE[b.dtype]} *restrict {pointer(b.name)}" for b in self.group.outputs)]
        )

    def _types(self) -> dict[str, str]:
        return {n: "float" for w_ih, w_hh, b_ih, _ in self.op.weights for n in (w_ih, w_hh, b_ih) if n}

    def _parts(self) -> list[str]:
        """A function for each layer, and one for the conversion of the input."""
        layers = [
            [line for d in range(self.D) for line in self._direction(layer, d)]
            for layer in range(self.op.layers)
        ]
        made = [self._part(f"layer{i}", lines) for i, lines in enumerate(layers)]
        return [self._part("convert", self._converted()), *made] if self.convert else made

    def _part(self, name: str, body: list[str]) -> str:
        """For batch rows from b0 to b1, panels from p0 to p1, and one direction, or all of them where `only` is negative."""
        text = "\n".join(body)
        lines = [
            f"static void {self.symbol}_{name}({self._parameters()}, float *restrict scratch, long b0, long b1, long p0, long p1, long only) {{",
            "    (void)p0; (void)p1; (void)only;",
        ]
        at, own = 0, self._of_direction()
        for array, size in self._arrays().items():
            if re.search(rf"\b{array}\b", text):
                place = f"{at} + only * {own[array]}L" if self.by_directions and array in own else f"{at}"
                lines.append(f"    float *const {array} = scratch + {place};")
            at += _up(size, 16)
        return "\n".join([*lines, text, "}", ""])

    def _converted(self) -> list[str]:
        x = self.group.buffer(self.op.x)
        source = f"(b * {self.T}L + t)" if self.op.batch_first else f"(t * {self.B}L + b)"
        return [f"    if (p0 == 0) for (long t = 0; t < {self.T}; t++) for (long b = b0; b < b1; b++) for (long i = 0; i < {self.I}; i++)",
                f"        input[(t * {self.B} + b) * {self.I} + i] = {loaded(f'{pointer(x.name)}[{source} * {self.I} + i]', x.dtype)};",
                *self._sync("    ")]  # fmt: skip

    def _source(self, layer: int) -> tuple[str, int, int, int]:
        """A layer's input: C pointer, its features, and its strides along time and batch."""
        if layer:
            wide = self.D * self.H
            return ("even" if layer % 2 else "odd"), wide, self.B * wide, wide
        if self.op.batch_first and not self.convert:
            return pointer(self.op.x), self.I, self.I, self.T * self.I
        return ("input" if self.convert else pointer(self.op.x)), self.I, self.B * self.I, self.I

    def _direction(self, layer: int, d: int) -> list[str]:
        number = layer * self.D + d
        w_ih, w_hh, b_ih, _ = self.op.weights[number]
        source, k, along, across = self._source(layer)
        time = f"{self.T - 1} - s" if d else "s"
        bias, apart = (
            (f"{pointer(b_ih)} + p * {self.width}", f"{pointer(b_ih)} + {self.row} + p * {self.wide}")
            if b_ih
            else ("0", "0")
        )
        place = f"p * {self.B * self.width}L"  # rows of one panel lie together: a stride of all gates would collide in the cache
        target = f"{'own' if self.cell.apart else 'x'} + {place} + b0 * {self.width}"
        cells = f"cells + b * {self.H_pad} + p * {self.wide}" if self.cell.memory else "0"
        y = f"own + {place} + b * {self.width}" if self.cell.apart else "0"
        wanted = f"if (only < 0 || only == {d}) " if self.by_directions else ""
        return [f"    {wanted}{{ /* {'backwards' if d else 'forwards'} */", *self._load_state(number),
                 f"        for (long s0 = 0; s0 < {self.T}; s0 += {self.block}) {{",
                 f"            const long steps = KF_MIN_L({self.T} - s0, {self.block});",
                 "            for (long p = p0; p < p1; p++) for (long s = s0; s < s0 + steps; s++)",
                 f"                {self.symbol}_product{self.vectors}(b1 - b0, {k}, {source} + ({time}) * {along}L + b0 * {across}, {across}, {pointer(w_ih)} + p * {k * self.width}L, inner + (s - s0) * {self.B * self.row}L + {place} + b0 * {self.width}, 0);",
                 "            for (long s = s0; s < s0 + steps; s++) {",
                 f"                const float *const h = states + (s % 2) * {self.B * self.H_pad}L;",
                 f"                float *const next = states + ((s + 1) % 2) * {self.B * self.H_pad}L, *const x = inner + (s - s0) * {self.B * self.row}L;",
                 f"                const long t = {time};", "                (void)t;",
                 "                for (long p = p0; p < p1; p++) {",
                 f"                    {self.symbol}_product{self.vectors}(b1 - b0, {self.H}, h + b0 * {self.H_pad}, {self.H_pad}, {pointer(w_hh)} + p * {self.H * self.width}L, {target}, {0 if self.cell.apart else 1});",
                 "                    for (long b = b0; b < b1; b++) {",
                 f"                        {self.symbol}_gates(x + {place} + b * {self.width}, {y}, {bias}, {apart}, h + b * {self.H_pad} + p * {self.wide}, {cells}, next + b * {self.H_pad} + p * {self.wide});",
                 *self._store(layer, d), "                    }", "                }", *self._sync(" " * 16), "            }", "        }",
                 *self._store_states(number), *self._sync("        "), "    }"]  # fmt: skip

    def _load_state(self, number: int) -> list[str]:
        op, lines = self.op, []
        for name, array in ((op.h0, "states"), (op.c0, "cells")):
            if name is None:
                continue
            value = loaded(
                f"{pointer(name)}[({number} * {self.B} + b) * {self.H}L + u]", self.group.buffer(name).dtype
            )
            lines.append(
                f"        for (long b = b0; b < b1; b++) for (long u = p0 * {self.wide}; u < p1 * {self.wide}; u++) {array}[b * {self.H_pad} + u] = u < {self.H} ? {value} : 0;"
            )
        return [*lines, *self._sync("        ")]

    def _store(self, layer: int, d: int) -> list[str]:
        """The new states of one panel and row, into the next layer's input or the output."""
        indent = " " * 24
        state = f"next[b * {self.H_pad} + u]"
        head = f"{indent}for (long u = p * {self.wide}; u < KF_MIN_L({self.H}, (p + 1) * {self.wide}); u++)"
        wide = self.D * self.H
        if layer < self.op.layers - 1:
            return [
                head,
                f"{indent}    {'odd' if layer % 2 else 'even'}[(t * {self.B} + b) * {wide}L + {d * self.H} + u] = {state};",
            ]
        where, position = (
            (f"b * {self.T} + t", ["b", "t"]) if self.op.batch_first else (f"t * {self.B} + b", ["t", "b"])
        )
        feature = f"({d * self.H} + u)"
        body = self.tail.lines(
            "now", [*position, feature], f"({where}) * {wide}L + {feature}", indent + "    "
        )
        return [head + " {", f"{indent}    const float now = {state};", *body, f"{indent}}}"] if body else []

    def _store_states(self, number: int) -> list[str]:
        finals: list[tuple[Buffer | None, str]] = [(self.op.h_n, f"states[{self.T % 2 * self.B * self.H_pad} + b * {self.H_pad} + u]"),
                                                   (self.op.c_n, f"cells[b * {self.H_pad} + u]")]  # fmt: skip
        lines = []
        for buffer, value in finals:
            if buffer is not None and buffer in self.group.outputs:
                lines.append(
                    f"        for (long b = b0; b < b1; b++) for (long u = p0 * {self.wide}; u < KF_MIN_L({self.H}, p1 * {self.wide}); u++) {pointer(buffer.name)}[({number} * {self.B} + b) * {self.H}L + u] = {stored(value, buffer.dtype)};"
                )
        return lines

    # ------------------------------------------------------------ the kernel

    def _kernel(self, packs: list[Packed]) -> str:
        names = {b.name: pointer(b.name) for b in (*self.group.inputs, *self.group.outputs)}
        lines = [
            signature(self.group, self.symbol, self._types() if self.packed else {}),
            "{",
            "    (void)threads;",
        ]
        if not self.packed:
            at = 4 * sum(_up(n, 16) for n in self._arrays().values())
            for number, p in enumerate(packs):
                sources = ", ".join(pointer(n) for n in (p.reads or (p.source,)))
                lines += [f"    float *const packed{number} = (float *)(scratch + {at}L);",
                          f"    {p.symbol}((const void *const[]){{{sources}}}, packed{number});"]  # fmt: skip
                names[p.source] = f"packed{number}"
                at += p.bytes
        arguments = f"({', '.join(names.values())}, (float *)scratch"
        return "\n".join([*lines, *self._shared(arguments), "}", ""])

    def _shared(self, arguments: str) -> list[str]:
        """The layers in order, shared out among the threads."""
        convert = [f"{self.symbol}_convert{arguments}"] if self.convert else []
        calls = [*convert, *(f"{self.symbol}_layer{i}{arguments}" for i in range(self.op.layers))]
        team, whole = (
            "    #pragma omp parallel for num_threads(threads) schedule(static)",
            f"0, {self.panels}",
        )
        if self.threads == 1:
            return [f"    {call}, 0, {self.B}, {whole}, -1);" for call in calls]
        if self.by_units:
            part = f"0, {self.B}, {self.panels} * i / n, {self.panels} * (i + 1) / n, -1"
            return ["    #pragma omp parallel num_threads(threads)", "    {", "        const long n = omp_get_num_threads(), i = omp_get_thread_num();",
                    *(f"        {call}, {part});" for call in calls), "    }"]  # fmt: skip
        rows = f"{self.B} * i / {self.crews}, {self.B} * (i + 1) / {self.crews}"
        if not self.by_directions:
            return [team, f"    for (long i = 0; i < {self.crews}; i++) {{", *(f"        {call}, {rows}, {whole}, -1);" for call in calls), "    }"]  # fmt: skip
        lines = [
            part
            for call in convert
            for part in (team, f"    for (long i = 0; i < {self.crews}; i++) {call}, {rows}, {whole}, -1);")
        ]
        for call in calls[len(convert) :]:
            lines += [
                f"{team} collapse(2)",
                f"    for (long d = 0; d < 2; d++) for (long i = 0; i < {self.crews}; i++) {call}, {rows}, {whole}, d);",
            ]
        return lines


def _wrapper(symbol: str, call: str) -> str:
    return f"static void {symbol}(const void *const *s, void *p) {{ {call}; }}"


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


TEMPLATE = RecurrentTemplate()
