"""Convolution as a matrix product that is never written down: the register tile reads the band through a table of taps
(`rows`, `linear`), or a panel gathered from it that stays in the cache (`panel`).

The blocking is that of Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008); reading through a table
of offsets follows Dukhan, "The indirect convolution algorithm" (2019). Output positions are the vector dimension, so
results go straight to channels-first memory.
"""

from __future__ import annotations

from kerf.kernels.codegen.conv.band import band_code, band_elements, site_offsets
from kerf.kernels.codegen.conv.epilogue import Epilogue, pointer, signature
from kerf.kernels.codegen.conv.micro import micro_kernels, vector_types
from kerf.kernels.codegen.conv.tiles import Plan, cut_code, decode, rounded, table
from kerf.kernels.codegen.conv.weights import Weights, packed, packs_once
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.ir import Conv, Group


def emit(group: Group, plan: Plan, threads: int, symbol: str) -> Emitted:
    g, conv = plan.geometry, group.ops[0]
    assert isinstance(conv, Conv)
    epilogue = Epilogue(group, g)
    weights = Weights(g, group.buffer(conv.weight), plan.kind, plan.rows)
    code = [
        "#include <omp.h>\n",
        vector_types(symbol, plan.kind, plan.lanes, plan.element),
        weights.code(symbol),
        "" if plan.borrowed else band_code(symbol, g, plan.blocking, plan.kind, group.buffer(conv.x).dtype),
        micro_kernels(symbol, plan.kind, plan.rows, plan.vectors, plan.tile),
        _tables(symbol, plan, weights),
        cut_code(symbol, plan),
        _panel_code(symbol, plan) if plan.gathers else "",
        epilogue.code(symbol),
        _apply_code(symbol, plan, epilogue, weights),
        _kernel_code(symbol, plan, epilogue, weights),
    ]
    scratch = threads * _Areas(plan).bytes + (
        0 if packs_once(group) else rounded(weights.size * plan.element)
    )
    moved = sum(b.bytes for b in (*group.inputs, *group.outputs))
    packs = packed(group, symbol, weights.size, plan.kind, plan.element)
    return Emitted("\n".join(code), symbol, scratch, packs, g.flops, float(moved))


class _Areas:
    """A thread's scratch: sizes in bytes, each a multiple of a cache line."""

    def __init__(self, plan: Plan) -> None:
        e, g = plan.element, plan.geometry
        slack = 2 * plan.tile + plan.lanes
        self.band = 0 if plan.borrowed else rounded(band_elements(g, plan.blocking, slack) * e)
        gathered = plan.strip if plan.tiling == "panel" else 1
        self.panel = (
            rounded(gathered * g.group_channels * len(g.sites) * plan.tile * e + slack * e)
            if plan.gathers
            else 0
        )
        self.sums = rounded(plan.geometry.out_stride[2] * plan.rows * plan.tile * e)
        self.row = rounded(plan.geometry.out_stride[2] * plan.tile * e)
        self.tiles = rounded(plan.tiles * 24)
        self.runs = rounded(plan.tiles * plan.runs * 32)

    @property
    def bytes(self) -> int:
        return self.band + self.panel + self.sums + self.row + self.tiles + self.runs


def _tables(symbol: str, plan: Plan, weights: Weights) -> str:
    g = plan.geometry
    offsets = [0] if plan.borrowed else site_offsets(g, plan.blocking)
    counts = [len(p.taps) for p in g.phases]
    lines = [
        "/* Per output phase: its taps in the table below, and where its weights begin. */",
        table(f"{symbol}_count", counts),
        table(f"{symbol}_first", [sum(counts[:i]) for i in range(len(counts))]),
        table(f"{symbol}_weights", [weights.phase_offset(i) for i in range(len(counts))], "long"),
        "/* What a tap reads, in elements from the output position's own place in the band. */",
        table(f"{symbol}_in_band", [offsets[t.site] for p in g.phases for t in p.taps]),
    ]
    if plan.gathers:
        lines += [
            "/* ... and in a gathered panel; and what the panel's rows are gathered from. */",
            table(f"{symbol}_in_panel", [t.site * plan.tile for p in g.phases for t in p.taps]),
            table(f"{symbol}_site", offsets),
        ]
    return "\n".join([*lines, ""])


def _panel_code(symbol: str, plan: Plan) -> str:
    """`SYMBOL_gather(band, run, runs, panel)`: rows [channel][site] of a tile's columns. A band has slack at its end, so whole
    vectors are copied and the next run overwrites what was too much; borrowed memory is read exactly."""
    g = plan.geometry
    sites = len(g.sites)
    if plan.borrowed:
        copy = "for (long i = 0; i < run[r].count; i++) to[i] = from[i];"
    else:
        copy = (
            f"for (long i = 0; i < run[r].count; i += {symbol}_LANES) "
            f"*({symbol}_any *)(to + i) = *(const {symbol}_any *)(from + i);"
        )
    return f"""/* A tile's inputs as [channel][tap][column]. */
static void {symbol}_gather(const {plan.kind} *restrict band, const {symbol}_run *restrict run, int runs, {plan.kind} *restrict panel)
{{
    for (long c = 0; c < {g.group_channels}; c++)
        for (long s = 0; s < {sites}; s++)
            for (int r = 0; r < runs; r++) {{
                const {plan.kind} *restrict from = band + c * {plan.channel_step}L + {symbol}_site[s] + run[r].band;
                {plan.kind} *restrict to = panel + (c * {sites} + s) * {plan.tile} + run[r].first;
                {copy}
            }}
}}
"""


def finishing(symbol: str, plan: Plan, e: Epilogue) -> str:
    """The epilogue of a run's row of sums: the output phases along w, woven together."""
    g = plan.geometry
    sw = g.out_stride[2]
    position = "n0 + run[i].n, o, d, h, w, count"
    if sw == 1:
        return f"""const long w = w0 + run[i].w, count = run[i].count;
                {symbol}_finish(sums + r * {plan.tile} + run[i].first, {e.arguments}, {position});"""
    weave = " ".join(
        f"row[j * {sw} + {p}] = sums[({p * plan.rows} + r) * {plan.tile} + run[i].first + j];"
        for p in range(sw)
    )
    return f"""const long w = (w0 + run[i].w) * {sw}, left = {g.outside[2]} - w;
                const long count = run[i].count * {sw} < left ? run[i].count * {sw} : left;
                for (long j = 0; j < run[i].count; j++) {{ {weave} }}
                {symbol}_finish(row, {e.arguments}, {position});"""


def _apply_code(symbol: str, plan: Plan, e: Epilogue, weights: Weights) -> str:
    g, k = plan.geometry, plan.kind
    sd, sh, sw = g.out_stride
    finish = finishing(symbol, plan, e)
    return f"""/* One block of filters over one tile, all output phases. */
static void {symbol}_apply(long block, const {symbol}_span *restrict span, const {symbol}_run *restrict run, const {k} *restrict weights,
    const {k} *restrict in, long step, const int *restrict tap, {k} *restrict sums, {k} *restrict row,
    long n0, long g, long d0, long h0, long w0, {e.parameters})
{{
    const long filters = {g.group_filters} - block * {plan.rows} < {plan.rows} ? {g.group_filters} - block * {plan.rows} : {plan.rows};
    for (long outer = 0; outer < {sd * sh}; outer++) {{
        for (long p = 0; p < {sw}; p++) {{
            const long phase = outer * {sw} + p, taps = {symbol}_count[phase];
            const {k} *a = weights + {symbol}_weights[phase] + block * ({g.group_channels * plan.rows} * taps);
            {symbol}_tile(span->count, {g.group_channels}, step, taps, tap + {symbol}_first[phase], a, in, sums + p * {plan.rows * plan.tile});
        }}
        for (long r = 0; r < filters; r++) {{
            const long o = g * {g.group_filters} + block * {plan.rows} + r;
            for (int i = 0; i < span->runs; i++) {{
                const long d = (d0 + run[i].d) * {sd} + outer / {sh}, h = (h0 + run[i].h) * {sh} + outer % {sh};
                if (d >= {g.outside[0]} || h >= {g.outside[1]}) continue;
                {finish}
            }}
        }}
    }}
}}
"""


def _kernel_code(symbol: str, plan: Plan, e: Epilogue, weights: Weights) -> str:
    g, k, b = plan.geometry, plan.kind, plan.blocking
    conv, once = e.conv, packs_once(e.group)
    x = pointer(conv.x)
    area = _Areas(plan)
    counts = b.counts
    blocks = weights.blocks
    site_rows = g.group_channels * len(g.sites) * plan.tile
    fill = (
        f"const {k} *restrict band = {x} + (n0 * {g.channels} + g * {g.group_channels}) * {g.in_plane}L + d0 * {plan.pitches[1]}L + h0 * {plan.pitches[2]}L + w0;"
        if plan.borrowed
        else f"{k} *restrict band = ({k} *)own;\n        {symbol}_band({x}, band, n0, g * {g.group_channels}, d0, h0, w0, nb, db, hb, wb);"
    )
    call = f"{symbol}_apply(block, &span[t], run + t * {plan.runs}, weights, {{}}, sums, row, n0, g, d0, h0, w0, {e.arguments});"
    if plan.tiling == "panel":
        use = call.format(f"panel + (t - s) * {site_rows}L, {len(g.sites) * plan.tile}, {symbol}_in_panel")
    else:
        use = call.format(f"band + span[t].band, {plan.channel_step}L, {symbol}_in_band")
    gather = f"for (long t = s; t < end; t++) {symbol}_gather(band, run + t * {plan.runs}, span[t].runs, panel + (t - s) * {site_rows}L);"
    if plan.tiling != "panel" and plan.borrowed:
        ragged = call.format(f"panel, {len(g.sites) * plan.tile}, {symbol}_in_panel")
        use = f"if (span[t].count % {symbol}_LANES) {{ {symbol}_gather(band, run + t * {plan.runs}, span[t].runs, panel); {ragged} }}\n            else {use}"
    by_filters = "for (long block = first; block < stop; block++)\n        for (long t = s; t < end; t++)"
    by_tiles = "for (long t = s; t < end; t++)\n        for (long block = first; block < stop; block++)"
    pack = (
        ""
        if once
        else f"""    {k} *packed = ({k} *)scratch;
    {symbol}_pack((const void *const[]){{{pointer(conv.weight)}}}, packed);
    scratch += {rounded(weights.size * plan.element)};
"""
    )
    weight_pointer = pointer(conv.weight) if once else "packed"
    span_at = area.band + area.panel + area.sums + area.row
    return f"""/* {g.batch} x {g.channels} -> {g.filters} filters, kernel {g.kernel}: blocks of {b.block} positions, {blocks} blocks of {plan.rows} filters. */
static void {symbol}({signature(e.group, k, once)}, char *restrict scratch, int threads)
{{
{pack}    const long tasks = {g.groups}L * {counts[0] * counts[1] * counts[2] * counts[3]} * {b.parts};
    (void)threads;
    #pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (long task = 0; task < tasks; task++) {{
        char *own = scratch + omp_get_thread_num() * {area.bytes}L;
{decode(b, g.groups)}        const long first = part * {blocks} / {b.parts}, stop = (part + 1) * {blocks} / {b.parts};
        {k} *panel = ({k} *)(own + {area.band}), *sums = ({k} *)(own + {area.band + area.panel}), *row = ({k} *)(own + {area.band + area.panel + area.sums});
        {symbol}_span *span = ({symbol}_span *)(own + {span_at});
        {symbol}_run *run = ({symbol}_run *)(own + {span_at + area.tiles});
        const {k} *weights = {weight_pointer} + g * {weights.group_size}L;
        {fill}
        const long tiles = {symbol}_cut(span, run, nb, db, hb, wb);
        (void)panel;
        for (long s = 0; s < tiles; s += {plan.strip}) {{
        const long end = s + {plan.strip} < tiles ? s + {plan.strip} : tiles;
        {gather if plan.tiling == "panel" else ""}
        {by_filters if plan.filters_outer else by_tiles} {{
            {use}
        }}
        }}
    }}
}}
"""
