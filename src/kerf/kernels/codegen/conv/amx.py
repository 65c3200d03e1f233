"""Convolution on matrix registers (see `codegen.amx`): a register holds 16 positions of 16 pairs of channels, read from the band, which is kept as
bfloat16 parts with two channels in each 32-bit element. A tap is another place in it, so that nothing is gathered: positions lie side by side as in
`linear` tiling, with the padding between rows computed and dropped.

Values that do not come apart, and machines without such registers, take the direct sum, which is in the same kernel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, prod

from kerf.kernels.codegen import amx
from kerf.kernels.codegen.amx import DEPTH, GUARD, ROWS, SIDE
from kerf.kernels.codegen.conv.band import band_code, band_elements, site_offsets
from kerf.kernels.codegen.conv.direct import finishing
from kerf.kernels.codegen.conv.epilogue import Epilogue, pointer, signature
from kerf.kernels.codegen.conv.geometry import Geometry
from kerf.kernels.codegen.conv.tiles import Plan, cut_code, decode, rounded, table
from kerf.kernels.codegen.conv.weights import packs_once, weight_index
from kerf.kernels.codegen.expr import CTYPE, loaded
from kerf.kernels.codegen.template import Emitted, Packed
from kerf.kernels.ir import Conv, DType, Group
from kerf.kernels.targets.cpu import Chip

LINE, REGISTER = 64, 512
BUDGETS = (64, 128, 256, 512, 1024, 2048)  # KB of the band; its parts take half as much again
COLUMNS = (32, 64, 128)  # positions whose sums are finished together
PRODUCT = 40.0  # vector operations in the time of an instruction with its loads
START = 1  # steps in the time of a square's beginning and end
SPLIT = 13.0  # ... of 16 values coming apart
FINISH, WEAVE = (
    2.2,
    5.4,
)  # ... of a result, and of one among the output phases of a strided transposed convolution


def possible(group: Group, g: Geometry, chip: Chip) -> bool:
    """Are there float32 sums over enough channels, for enough filters, with weights that can be taken apart once?"""
    conv = group.ops[0]
    assert isinstance(conv, Conv)
    wide = min(g.group_channels, g.group_filters) >= ROWS
    return amx.able(chip) and wide and conv.out.dtype.compute is DType.F32 and packs_once(group)


def cost(g: Geometry) -> float:
    """Vector operations in the time of the products, those of padding included, of the splitting, and of the results."""
    rows = g.batch * g.quotient[0] * ceil(g.quotient[1] * (g.quotient[2] + g.reach[2]) / ROWS)
    steps = sum(len(p.taps) * ceil(g.group_channels / DEPTH) + START for p in g.phases)
    instructions = rows * ceil(g.group_filters / ROWS) * g.groups * steps * len(amx.products(3, 3))
    values = g.batch * g.channels * prod(q + r for q, r in zip(g.quotient, g.reach, strict=True))
    split = SPLIT * values * prod(len(u) for u in g.used) / ROWS
    finish = (WEAVE if prod(g.out_stride) > 1 else FINISH) * g.batch * g.filters * g.out_plane
    return PRODUCT * instructions + split + finish


def emit(group: Group, plan: Plan, other: Emitted, threads: int, symbol: str) -> Emitted:
    """`plan`: tiles of 32 filters by 32 positions; `other`: the way of values that do not come apart."""
    return _Writer(group, plan, other, threads, symbol).emitted()


@dataclass(frozen=True)
class _Writer:
    group: Group
    plan: Plan
    other: Emitted
    threads: int
    s: str

    @property
    def g(self) -> Geometry:
        return self.plan.geometry

    @property
    def conv(self) -> Conv:
        op = self.group.ops[0]
        assert isinstance(op, Conv)
        return op

    @cached_property
    def epilogue(self) -> Epilogue:
        return Epilogue(self.group, self.g)

    @property
    def parts(self) -> int:
        """Of an input's value."""
        return amx.parts_of(self.group.buffer(self.conv.x).dtype)

    @property
    def weight_parts(self) -> int:
        return amx.parts_of(self.group.buffer(self.conv.weight).dtype)

    # ---------------------------------------------------------------- sizes

    @property
    def chunks(self) -> int:
        """Of 32 channels."""
        return ceil(self.g.group_channels / DEPTH)

    @property
    def pitch(self) -> int:
        """Elements from one pair of channels to the next: an odd number of lines, which lie in different sets of the cache."""
        lines = ceil(self.plane / 16)
        return 16 * (lines + 1 - lines % 2)

    @property
    def plane(self) -> int:
        """Elements of one channel that a block reads: all of its part of the band, or the positions of a row that is read in place."""
        return self.plan.blocking.block[3] if self.plan.borrowed else self.plan.channel_step

    @property
    def part(self) -> int:
        return self.chunks * ROWS * self.pitch

    @property
    def blocks(self) -> int:
        return ceil(self.g.group_filters / SIDE)

    @property
    def block(self) -> int:
        """16-bit values of 32 filters' weights for one step of 32 channels and one tap."""
        return 2 * self.weight_parts * REGISTER

    @property
    def phase_offsets(self) -> list[int]:
        """Where the weights of each output phase begin in a group's."""
        sizes = [self.blocks * self.chunks * len(p.taps) * self.block for p in self.g.phases]
        return [sum(sizes[:i]) for i in range(len(sizes) + 1)]

    @property
    def before(self) -> int:
        """Bytes of the parts of all weights, after a line that says whether they are fit."""
        return LINE + rounded(self.g.groups * self.phase_offsets[-1] * 2)

    @cached_property
    def areas(self) -> dict[str, int]:
        """A thread's scratch in bytes, in order."""
        slack = self.plan.tile + SIDE
        return {
            "band": 0
            if self.plan.borrowed
            else rounded(band_elements(self.g, self.plan.blocking, slack) * 4),
            "pairs": rounded((self.parts * self.part + slack) * 4),
            "top": rounded(self.pitch * 4),
            "sums": self.g.out_stride[2] * SIDE * self.plan.tile * 4,
            "row": rounded(self.g.out_stride[2] * self.plan.tile * 4),
            "span": rounded(self.plan.tiles * 24),
            "run": rounded(self.plan.tiles * self.plan.runs * 32),
        }

    # ---------------------------------------------------------------- the whole

    def emitted(self) -> Emitted:
        s, g = self.s, self.g
        x = self.group.buffer(self.conv.x)
        sizes = [(r, c) for r in self._heights() for c in (2, 1)]
        code = [
            self.other.code,
            "#include <omp.h>",
            GUARD,
            *(
                amx.micro_in_place(
                    s, shape, (self.weight_parts, self.parts), self.pitch, self.part, self.plan.tile, self.far
                )
                for shape in sizes
            ),
            "" if self.plan.borrowed else band_code(s, g, self.plan.blocking, "float", x.dtype),
            self._pairs_code(),
            self._tables(),
            cut_code(s, self.plan),
            self.epilogue.code(s),
            self._apply_code(),
            self._run_code(),
            "#endif",
            self._pack_code(),
            self._kernel_code(),
        ]
        scratch = max(self.threads * sum(self.areas.values()), self.other.scratch_bytes)
        raw = self.other.packed[0]
        packed = Packed(self.conv.weight, f"{s}_pack", self.before + raw.bytes, "char")
        return replace(self.other, code="\n".join(code), symbol=s, scratch_bytes=scratch, packed=(packed,))

    @property
    def far(self) -> amx.Far | None:
        """Results are written in short pieces far apart: those of a tile, one piece a filter, are asked for while it is computed."""
        outs = self.group.outputs
        steps = self.chunks * max(len(p.taps) for p in self.g.phases)
        if len(outs) > 1 or prod(self.g.out_stride) > 1:
            return None
        return amx.Far(ceil(SIDE / steps), self.g.out_plane * outs[0].dtype.bytes)

    def _heights(self) -> list[int]:
        left = self.g.group_filters % SIDE
        return [2] * (self.g.group_filters >= SIDE or left > ROWS) + [1] * (0 < left <= ROWS)

    def _tables(self) -> str:
        g, s = self.g, self.s
        offsets = [0] if self.plan.borrowed else site_offsets(g, self.plan.blocking)
        counts = [len(p.taps) for p in g.phases]
        return "\n".join(
            [
                "/* Per output phase: its taps in the table below, and where its weights begin. */",
                table(f"{s}_count", counts),
                table(f"{s}_first", [sum(counts[:i]) for i in range(len(counts))]),
                table(f"{s}_weights", self.phase_offsets[:-1], "long"),
                "/* What a tap reads, in elements from the output position's own place in the band. */",
                table(f"{s}_tap", [offsets[t.site] for p in g.phases for t in p.taps]),
                "",
            ]
        )

    def _pairs_code(self) -> str:
        s, step = self.s, self.plan.channel_step
        channels = self.g.group_channels
        empty = self.chunks * ROWS - ceil(channels / 2)
        lower = (
            f"2 * p + 1 < {channels} ? kf_some(from + {step} + i, count - i) : (kf_floats){{0}}"
            if channels % 2
            else f"kf_some(from + {step} + i, count - i)"
        )
        zero = (
            f"    for (int i = 0; i < {self.parts}; ++i) memset(to + i * {self.part}L + {ceil(channels / 2) * self.pitch}L, 0, {empty * self.pitch * 4}L);\n"
            if empty
            else ""
        )
        return f"""/* The band's channels in pairs, as parts; 1 where a position's values do not come apart. */
static int {s}_pairs(const float *restrict band, uint32_t *restrict to, uint32_t *restrict top, long count)
{{
    int odd = 0;
    memset(top, 0, {self.pitch * 4});
    for (long p = 0; p < {ceil(channels / 2)}; ++p) {{
        const float *from = band + p * {2 * step}L;
        for (long i = 0; i < count; i += 16) {{
            const kf_floats x = kf_some(from + i, count - i), y = {lower};
            kf_words *most = (kf_words *)(top + i);
            *most = kf_larger(kf_larger(*most, x), y);
            kf_split(x, y, (uint16_t *)(to + p * {self.pitch}L + i), {2 * self.part}L, {self.parts}, 1);
        }}
    }}
{zero}    for (long i = 0; i < {self.pitch}; ++i) odd |= kf_odd(top[i]);
    return odd;
}}
"""

    def _apply_code(self) -> str:
        g, s, plan, e = self.g, self.s, self.plan, self.epilogue
        sd, sh, sw = g.out_stride
        heights = self._heights()
        there = f"out + q * {self.group.outputs[0].dtype.bytes}" if self.far else "0"
        calls = []
        for r in heights:
            for c in (2, 1):
                tests = [f"filters {'>' if r == 2 else '<='} 16"] * (len(heights) > 1)
                tests += [f"span->count - q {'>' if c == 2 else '<='} 16"]
                calls.append(
                    f"                if ({' && '.join(tests)}) {s}_micro_{r}x{c}(a, in + q, {self.chunks}, {s}_tap + {s}_first[phase], taps, sums + p * {SIDE * plan.tile} + q, {there});"
                )
        body = "\n".join(calls)
        if self.far:
            out = self.group.outputs[0]
            where = f"""
    const long at = ((n0 + run->n) * {g.filters} + g * {g.group_filters} + block * 32) * {g.out_plane}L
        + ((d0 + run->d) * {g.outside[1]} + h0 + run->h) * {g.outside[2]}L + w0 + run->w - run->first;
    const char *out = (const char *)({pointer(out.name)} + at);"""
        else:
            where = ""
        return f"""/* One block of filters over one tile, all output phases. */
static void {s}_apply(long block, const {s}_span *restrict span, const {s}_run *restrict run, const uint16_t *restrict weights,
    const uint32_t *restrict in, float *restrict sums, float *restrict row,
    long n0, long g, long d0, long h0, long w0, {e.parameters})
{{
    const long filters = {g.group_filters} - block * 32 < 32 ? {g.group_filters} - block * 32 : 32;{where}
    for (long outer = 0; outer < {sd * sh}; outer++) {{
        for (long p = 0; p < {sw}; p++) {{
            const long phase = outer * {sw} + p, taps = {s}_count[phase];
            const uint16_t *a = weights + {s}_weights[phase] + block * {self.chunks * self.block}L * taps;
            for (long q = 0; q < span->count; q += 32) {{
{body}
            }}
        }}
        for (long r = 0; r < filters; r++) {{
            const long o = g * {g.group_filters} + block * 32 + r;
            for (int i = 0; i < span->runs; i++) {{
                const long d = (d0 + run[i].d) * {sd} + outer / {sh}, h = (h0 + run[i].h) * {sh} + outer % {sh};
                if (d >= {g.outside[0]} || h >= {g.outside[1]}) continue;
                {finishing(s, plan, e)}
            }}
        }}
    }}
    (void)row;
}}
"""

    def _run_code(self) -> str:
        """`S_run`: all blocks; 1 where values did not come apart, and nothing is to be believed."""
        g, s, b, e = self.g, self.s, self.plan.blocking, self.epilogue
        counts, areas = b.counts, self.areas
        at = dict(zip(areas, (sum(list(areas.values())[:i]) for i in range(len(areas))), strict=True))
        x = pointer(self.conv.x)
        own = [
            f"        {kind} *{name} = ({kind} *)(own + {at[name]}L);"
            for name, kind in (
                ("band", "float"),
                ("pairs", "uint32_t"),
                ("top", "uint32_t"),
                ("sums", "float"),
                ("row", "float"),
                ("span", f"{s}_span"),
                ("run", f"{s}_run"),
            )
        ]
        use = f"{s}_apply(block, &span[t], run + t * {self.plan.runs}, weights, pairs + span[t].band, sums, row, n0, g, d0, h0, w0, {e.arguments});"
        declare = "\n".join(own)
        fill = (
            f"odd |= {s}_pairs({x} + (n0 * {g.channels} + g * {g.group_channels}) * {g.in_plane}L + w0, pairs, top, wb);"
            if self.plan.borrowed
            else f"{s}_band({x}, band, n0, g * {g.group_channels}, d0, h0, w0, nb, db, hb, wb);\n"
            f"            odd |= {s}_pairs(band, pairs, top, {self.plane});"
        )
        loops = ("for (long block = first; block < stop; block++)", "for (long t = 0; t < tiles; t++)")
        order = "\n            ".join(loops if self.plan.filters_outer else loops[::-1])
        return f"""static int {s}_run_all({self._signature}, char *restrict scratch, int threads)
{{
    const long tasks = {g.groups}L * {counts[0] * counts[1] * counts[2] * counts[3]} * {b.parts};
    int odd = 0;
    (void)threads;
    #pragma omp parallel num_threads(threads) reduction(| : odd)
    {{
        char *own = scratch + omp_get_thread_num() * {sum(areas.values())}L;
{declare}
        {"(void)band;" if self.plan.borrowed else f"memset(band, 0, {areas['band']}L);"}
        memset(pairs, 0, {areas["pairs"]}L);
        kf_tiles_open();
        #pragma omp for schedule(dynamic, 1)
        for (long task = 0; task < tasks; task++) {{
            if (odd) continue;
{decode(b, g.groups)}            const long first = part * {self.blocks} / {b.parts}, stop = (part + 1) * {self.blocks} / {b.parts};
            const uint16_t *weights = (const uint16_t *)({pointer(self.conv.weight)} + {LINE}) + g * {self.phase_offsets[-1]}L;
            {fill}
            const long tiles = odd ? 0 : {s}_cut(span, run, nb, db, hb, wb);
            {order}
                {use}
        }}
        kf_tiles_close();
    }}
    return odd;
}}
"""

    @property
    def _signature(self) -> str:
        return signature(self.group, "char", True)

    def _pack_code(self) -> str:
        """Weights as [group][output phase][block of 32 filters][chunk of 32 channels][tap], each step two registers' rows with their parts."""
        g, s = self.g, self.s
        weight = self.group.buffer(self.conv.weight)
        value = loaded(f"w[{weight_index(g, 'g', 'o', 'c')} + flat[t]]", weight.dtype)
        phases = []
        for phase in g.phases:
            if not phase.taps:
                continue
            flat = ", ".join(str(t.flat) for t in phase.taps)
            phases.append(f"""        {{
            static const int flat[] = {{{flat}}};
            for (long block = 0; block < {self.blocks}; block++)
            for (long chunk = 0; chunk < {self.chunks}; chunk++)
            for (long t = 0; t < {len(phase.taps)}; t++, to += {self.block})
            for (long r = 0; r < 32; r++) {{
                float line[32] __attribute__((aligned(64))) = {{0}};
                const long o = block * 32 + r;
                for (long c = chunk * 32; c < {g.group_channels} && c < chunk * 32 + 32; c++)
                    if (o < {g.group_filters}) line[c - chunk * 32] = {value};
                const kf_floats x = *(const kf_line *)line, y = *(const kf_line *)(line + 16);
                top[o] = kf_largest(kf_larger(kf_larger((kf_words){{top[o]}}, x), y));
                kf_split(x, y, to + r / 16 * {self.weight_parts * REGISTER} + r % 16 * 32, {REGISTER}, {self.weight_parts}, 0);
            }}
        }}""")
        loops = "\n".join(phases)
        return f"""static void {s}_pack(const void *const *sources, void *packed)
{{
    int *fit = packed;
    *fit = 0;
    {self.other.packed[0].symbol}(sources, (char *)packed + {self.before}L);
{GUARD}
    const {CTYPE[weight.dtype]} *w = (const {CTYPE[weight.dtype]} *)sources[0];
    uint16_t *restrict to = (uint16_t *)((char *)packed + {LINE});
    *fit = 1;
    for (long g = 0; g < {g.groups}; g++) {{
        uint32_t top[{self.blocks * SIDE}] = {{0}};
{loops}
        for (long o = 0; o < {g.group_filters}; o++) *fit &= !kf_odd(top[o]);
    }}
#endif
}}
"""

    def _kernel_code(self) -> str:
        s, weight = self.s, pointer(self.conv.weight)
        names = [pointer(b.name) for b in (*self.group.inputs, *self.group.outputs)]
        raw = f"(const {self.other.packed[0].ctype} *)({weight} + {self.before}L)"
        others = ", ".join(raw if n == weight else n for n in names)
        return f"""static void {s}({self._signature}, char *restrict scratch, int threads)
{{
{GUARD}
    if (kf_tiles() && *(const int *){weight} && !{s}_run_all({", ".join(names)}, scratch, threads)) return;
#endif
    {self.other.symbol}({others}, scratch, threads);
}}
"""
