"""The blocked contraction: panels packed for the caches, register tiles in the middle, the epilogue at the end of k.

Loops, from the outside: z, column blocks (nc), k blocks (kc), row blocks (mc), then register tiles. Each thread runs the
whole nest on its own part of z, m, n or k, with its own packing space, so that nobody waits for anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from kerf.kernels.codegen.blocks import rounded
from kerf.kernels.codegen.expr import CTYPE
from kerf.kernels.codegen.gemm import micro, packing, pairs
from kerf.kernels.codegen.gemm.analysis import Operand, Problem, pointer
from kerf.kernels.codegen.gemm.epilogue import STREAM, Signature, never, store
from kerf.kernels.codegen.gemm.parts import bounds, everything, ranges
from kerf.kernels.codegen.gemm.plan import LINE, Layout, Plan, make, sums_buffer
from kerf.kernels.codegen.template import Emitted, Packed
from kerf.kernels.schedule import Value
from kerf.kernels.targets.cpu import Chip

WHOLE = (
    16  # regions of scratch begin at multiples of this many elements: whole cache lines in either precision
)


def emit(p: Problem, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str) -> Emitted:
    plan = make(p, choices, chip, threads)
    return _Writer(p, plan, packing.signature(p, plan), symbol).emitted()


@dataclass(frozen=True)
class _Writer:
    p: Problem
    plan: Plan
    sig: Signature
    s: str

    # ---------------------------------------------------------------- sizes

    @property
    def acc(self) -> str:
        return CTYPE[self.p.acc]

    @property
    def a_room(self) -> int:
        """Elements of one part's packed A."""
        return rounded(self.plan.mc, self.plan.mr) * self.plan.a.block if self.plan.a.kind == "packed" else 0

    @property
    def b_room(self) -> int:
        """Elements of one part's packed B; where B is read in place, just its ragged last panel."""
        whole = min(rounded(self.plan.nc, self.plan.nr), self.plan.padded(self.p.n.extent))
        columns = {"packed": whole, "direct": self.plan.nr if self.p.n.extent % self.plan.nr else 0}
        return columns.get(self.plan.b.kind, 0) * self.plan.b.block

    @property
    def sums_step(self) -> int:
        return rounded(self.plan.padded(self.p.n.extent), LINE // self.p.acc.bytes)

    @property
    def sums_room(self) -> int:
        """Elements of the unfinished sums in scratch: all of z only where parts of k are added up at the end."""
        layers = self.p.z.extent if self.plan.parallel == "k" else 1
        return layers * self.p.m.extent * self.sums_step if self.plan.partial == "scratch" else 0

    @property
    def part_room(self) -> int:
        return sum(rounded(room, WHOLE) for room in (self.a_room, self.b_room, self.sums_room))

    # ---------------------------------------------------------------- the whole

    def emitted(self) -> Emitted:
        kernels = [
            micro.micro(self.s, shape, self.acc, self.plan.lanes, self.plan.unroll)
            for shape in dict.fromkeys(shape for _, shape in self.plan.tiles(self.p))
        ]
        parts = [self._head(), *kernels, self._multiply(), store(self.p, self.sig, self.s, self.plan.stream)]
        packs, packed = self._packs()
        parts += [*packs, self._tile(), self._part(), self._entry()]
        room = self.part_room * self.plan.parts * self.p.acc.bytes
        return Emitted("\n".join(parts), self.s, room, packed, self.p.flops, self.p.bytes)

    def _head(self) -> str:
        plan, text = self.plan, micro.types(self.s, self.acc, self.plan.lanes)
        if plan.pairs:
            text += pairs.DOT.format(s=self.s)
        if plan.stream:
            letter = "ps" if self.acc == "float" else "pd"
            text += f"enum {{ {self.s}_WIDTH = {plan.nr}, {self.s}_LANES = {plan.lanes} }};\n"
            text += STREAM.format(
                s=self.s, bits=plan.lanes * self.p.acc.bytes * 8, letter=letter, ctype=self.acc
            )
        return text

    def _packs(self) -> tuple[list[str], tuple[Packed, ...]]:
        plan, p, texts, packed = self.plan, self.p, [], []
        needs_b = plan.b.kind != "direct" or p.n.extent % plan.nr
        for which, layout, operand, make_pack in (
            ("a", plan.a, p.left, packing.pack_a),
            ("b", plan.b, p.right, packing.pack_b),
        ):
            if layout.kind == "direct" and not (which == "b" and needs_b):
                continue
            if which == "b" and packing.turned(p, plan):
                texts.append(micro.transpose(self.s, self.acc))
            texts.append(make_pack(p, plan, packing.own_parameters(p, operand), self.s))
            if layout.kind == "weights":
                code, info = packing.once(p, plan, self.s, which)
                texts.append(code)
                packed.append(info)
        return texts, tuple(packed)

    # ---------------------------------------------------------------- one register tile

    def _multiply(self) -> str:
        """The micro-kernel for a tile's size."""
        calls = []
        for whole, shape in self.plan.tiles(self.p):
            test = f"rows == {shape.rows} && {'' if whole else '!'}whole"
            calls.append(
                f"    if ({test}) {{ {micro.name(self.s, shape)}(kc, a, b, src, lds, dst, ldd); return; }}"
            )
        head = (
            f"static inline __attribute__((always_inline)) void {self.s}_multiply(long rows, int whole, long kc,\n"
            f"        const {self.acc} *a, const {self.acc} *b, const {self.acc} *src, long lds, {self.acc} *dst, long ldd) {{\n"
        )
        return head + "\n".join(calls) + "\n}\n"

    def _tile(self) -> str:
        """`SYMBOL_tile`: one register tile of one k block, `first` and `last` of its kind."""
        plan, acc = self.plan, self.acc
        lines = [
            "/* One register tile: rows m.. and columns n.. of one k block. */",
            f"static inline __attribute__((always_inline)) void {self.s}_tile({self.sig.parameters}, {acc} *restrict sums,",
            "        long z, long m, long rows, long n, long columns, long kc,",
            f"        const {acc} *a, const {acc} *b, int first, int last) {{",
            f"    const int whole = columns == {plan.nr};",
            f"    {acc} tile[{plan.mr * plan.nr}] __attribute__((aligned(64)));",
            "    (void)z; (void)sums; (void)first; (void)last; (void)m; (void)n;",
        ]
        finish = f"{self.s}_store({self.sig.arguments}, tile, {plan.nr}, z, m, rows, n, columns);"
        lines += {"none": self._tile_once, "out": self._tile_out, "scratch": self._tile_scratch}[
            plan.partial
        ](finish)
        return "\n".join([*lines, "}"]) + "\n"

    def _out(self) -> tuple[str, int] | None:
        name = sums_buffer(self.p)
        if name is None:
            return None
        buffer = self.p.group.buffer(name)
        form = self.p.where(buffer)
        return f"{pointer(name)} + {self.p.place(form)}", self.p.m.stride(form) or 0

    def _call(self, src: str, lds: int, dst: str, ldd: int) -> str:
        return f"{self.s}_multiply(rows, whole, kc, a, b, {src}, {lds}, {dst}, {ldd});"

    def _tile_once(self, finish: str) -> list[str]:
        plan, out = self.plan, self._out()
        lines = []
        if self.p.identity and out and not plan.stream:
            lines.append(f"    if (whole) {{ {self._call('0', 0, out[0], out[1])} return; }}")
        return [*lines, f"    {self._call('0', 0, 'tile', plan.nr)}", f"    {finish}"]

    def _tile_out(self, finish: str) -> list[str]:
        plan, out = self.plan, self._out()
        assert out is not None
        there = "1" if self.p.identity else "!last"
        copy = "for (long i = 0; i < rows; ++i) for (long j = 0; j < columns; ++j)"
        return [
            f"    {self.acc} *out = {out[0]};",
            f"    if (whole && {there}) {{ {self._call('first ? 0 : out', out[1], 'out', out[1])} return; }}",
            f"    if (whole) {{ {self._call('first ? 0 : out', out[1], 'tile', plan.nr)} {finish} return; }}",
            f"    if (!first) {copy} tile[i * {plan.nr} + j] = out[i * {out[1]} + j];",
            f"    {self._call('first ? 0 : tile', plan.nr, 'tile', plan.nr)}",
            f"    if (last) {finish}",
            f"    else {copy} out[i * {out[1]} + j] = tile[i * {plan.nr} + j];",
        ]

    def _tile_scratch(self, finish: str) -> list[str]:
        step = self.sums_step
        lines = [f"    {self.acc} *sum = sums + m * {step} + n;"]
        to_sum = self._call("first ? 0 : sum", step, "sum", step)
        if self.plan.parallel == "k":
            return [*lines, f"    {to_sum}", "    (void)tile;"]
        to_tile = self._call("first ? 0 : sum", step, "tile", self.plan.nr)
        return [*lines, f"    if (last) {{ {to_tile} {finish} }}", f"    else {to_sum}"]

    # ---------------------------------------------------------------- one thread's part

    def _part(self) -> str:
        plan = self.plan
        lines = [
            "/* One thread's part of the result. */",
            f"static void {self.s}_part({self.sig.parameters}, {self.acc} *restrict room,",
            "        long z0, long z1, long m0, long m1, long n0, long n1, long k0, long k1) {",
            f"    {self.acc} *pa = room, *pb = pa + {rounded(self.a_room, WHOLE)}, *sums = pb + {rounded(self.b_room, WHOLE)};",
            "    (void)pa; (void)pb; (void)sums;",
            "    for (long z = z0; z < z1; ++z)",
            f"    for (long jc = n0; jc < n1; jc += {plan.nc}) {{",
            f"        const long je = jc + {plan.nc} < n1 ? jc + {plan.nc} : n1;",
            f"        for (long k = k0; k < k1; k += {plan.kc}) {{",
            f"            const long ke = k + {plan.kc} < k1 ? k + {plan.kc} : k1;",
            *self._fetch_b(),
            f"            for (long ic = m0; ic < m1; ic += {plan.mc}) {{",
            f"                const long ie = ic + {plan.mc} < m1 ? ic + {plan.mc} : m1;",
            *self._fetch_a(),
            *self._tiles(),
            "            }",
            "        }",
            "    }",
            "}",
        ]
        return "\n".join(lines) + "\n"

    def _fetch_a(self) -> list[str]:
        if self.plan.a.kind != "packed":
            return []
        return [f"                {self.s}_pack_a({self._own(self.p.left)}pa, z, ic, ie, k, ke);"]

    def _fetch_b(self) -> list[str]:
        plan, n = self.plan, self.p.n.extent
        if plan.b.kind == "packed":
            return [f"            {self.s}_pack_b({self._own(self.p.right)}pb, z, jc, je, k, ke);"]
        edge = n // plan.nr * plan.nr
        if plan.b.kind == "direct" and n % plan.nr:
            return [
                f"            if (je == {n}) {self.s}_pack_b({self._own(self.p.right)}pb, z, {edge}, {n}, k, ke);"
            ]
        return []

    def _own(self, operand: Operand) -> str:
        args = packing.own_arguments(operand)
        return args + ", " if args else ""

    def _tiles(self) -> list[str]:
        plan, pad = self.plan, " " * 16
        rows = "for (long m = ic, rows; m < ie; m += rows) {"
        columns = f"for (long n = jc; n < je; n += {plan.nr}) {{"
        outer, inner = (columns, rows) if plan.order == "columns" else (rows, columns)
        last = f"ke == {self.p.k.extent}" if plan.parallel != "k" else "0"
        return [
            pad + outer,
            pad + inner,
            f"{pad}    rows = {self._height()};",
            f"{pad}    const long columns = je - n < {plan.nr} ? je - n : {plan.nr};",
            *self._skip(pad + "    "),
            f"{pad}    {self.s}_tile({self.sig.arguments}, {self._layer()}, z, m, rows, n, columns, {'(ke - k + 1) / 2' if plan.pairs else 'ke - k'},",
            f"{pad}        {self._at_a()}, {self._at_b()}, k == k0, {last});",
            f"{pad}}}}}",
        ]

    def _height(self) -> str:
        plan = self.plan
        if plan.tall == self.p.m.extent:
            return str(plan.mr)
        return f"m < {plan.tall} ? {plan.mr} : {plan.low}"

    def _layer(self) -> str:
        return f"sums + z * {self.p.m.extent * self.sums_step}L" if self.plan.parallel == "k" else "sums"

    def _skip(self, pad: str) -> list[str]:
        """A tile that a triangular mask on the result hides costs nothing but its zeros."""
        test = never(self.p, ("m", "m + rows - 1"), ("n", "n + columns - 1"))
        if test is None or self.plan.parallel == "k":
            return []
        plan = self.plan
        zeros = f"{self.acc} tile[{plan.mr * plan.nr}] __attribute__((aligned(64))) = {{0}};"
        finish = f"{self.s}_store({self.sig.arguments}, tile, {plan.nr}, z, m, rows, n, columns);"
        return [
            f"{pad}if ({test}) {{",
            f"{pad}    if (ke == {self.p.k.extent}) {{ {zeros} {finish} }}",
            f"{pad}    continue;",
            f"{pad}}}",
        ]

    def _at_a(self) -> str:
        layout = self.plan.a
        if layout.kind == "direct":
            return self._in_place(self.p.left)
        if layout.kind == "packed":
            return f"pa + (m - ic) * {layout.block}"
        block, matrix = packing.weights_a(self.p, self.plan)
        return self._in_weights(self.p.left, block, matrix, layout, "m")

    def _at_b(self) -> str:
        layout, n = self.plan.b, self.p.n.extent
        if layout.kind == "direct":
            here = self._in_place(self.p.right)
            return f"(columns == {self.plan.nr} ? {here} : pb)" if n % self.plan.nr else here
        if layout.kind == "packed":
            return f"pb + (n - jc) * {layout.block}"
        block, matrix = packing.weights_b(self.p, self.plan)
        return self._in_weights(self.p.right, block, matrix, layout, "n")

    def _in_place(self, operand: Operand) -> str:
        assert operand.load is not None and operand.form is not None
        return f"{pointer(operand.load.buffer)} + {self.p.place(operand.form)}"

    def _in_weights(self, operand: Operand, block: int, matrix: int, layout: Layout, var: str) -> str:
        layer = f" + z * {matrix}L" if operand.batched else ""
        return f"{pointer(packing_source(operand))}{layer} + k / {self.plan.kc} * {block}L + {var} * {layout.block}"

    # ---------------------------------------------------------------- all parts

    def _entry(self) -> str:
        plan = self.plan
        lines = [
            f"static void {self.s}({self.sig.parameters}, char *restrict scratch, int threads) {{",
            "    (void)threads; (void)scratch;",
        ]
        if plan.parts == 1:
            lines.append(f"    {self._run(everything(self.p), '0')}")
        else:
            lines += [
                "#pragma omp parallel for schedule(static, 1) num_threads(threads)",
                f"    for (long part = 0; part < {plan.parts}; ++part) {{",
                *ranges(self.p, plan.parallel, plan.parts, plan.mr, plan.nr, plan.kc),
                f"        {self._run(bounds(self.p, plan.parallel), 'part')}",
                "    }",
            ]
        return "\n".join([*lines, *(self._add_up() if plan.parallel == "k" else []), "}"]) + "\n"

    def _run(self, bounds: list[str], part: str) -> str:
        room = (
            f"({self.acc} *)scratch + {part} * {self.part_room}L" if part != "0" else f"({self.acc} *)scratch"
        )
        return f"{self.s}_part({self.sig.arguments}, {room}, {', '.join(bounds)});"

    def _add_up(self) -> list[str]:
        """Parts of k: their sums are added and stored, row by row."""
        p, plan, step = self.p, self.plan, self.sums_step
        layers = rounded(self.a_room, WHOLE) + rounded(self.b_room, WHOLE)
        rows = p.z.extent * p.m.extent
        busy = min(plan.parts, ceil(p.k.extent / plan.kc))
        used = [i for i in range(plan.parts) if _has_work(i, plan.parts, ceil(p.k.extent / plan.kc))]
        first, *rest = used
        add = " + ".join(f"other[{(i - first) * self.part_room}L + n]" for i in rest)
        return [
            f"    /* {busy} parts of the sum over k, added up. */",
            "#pragma omp parallel for schedule(static) num_threads(threads)",
            f"    for (long row = 0; row < {rows}; ++row) {{",
            f"        {self.acc} *sum = ({self.acc} *)scratch + {layers + first * self.part_room}L + row * {step};",
            *(
                [
                    f"        const {self.acc} *other = sum;",
                    f"        for (long n = 0; n < {p.n.extent}; ++n) sum[n] += {add};",
                ]
                if rest
                else []
            ),
            *self._add_store(step),
            "    }",
        ]

    def _add_store(self, step: int) -> list[str]:
        p, width = self.p, self.plan.nr
        return [
            f"        for (long n = 0; n < {p.n.extent}; n += {width})",
            f"            {self.s}_store({self.sig.arguments}, sum + n, {step}, row / {p.m.extent}, row % {p.m.extent}, 1, n,",
            f"                {p.n.extent} - n < {width} ? {p.n.extent} - n : {width});",
        ]


def _has_work(part: int, parts: int, steps: int) -> bool:
    return steps * part // parts < steps * (part + 1) // parts


def packing_source(operand: Operand) -> str:
    assert operand.load is not None
    return operand.load.buffer
