"""Winograd's minimal filtering, for every convolution that is a sum of short stride-1 filters (see `filtering`).

Tiles of outputs are the vector dimension: the input is read through a band split by tile phase, so that the same element of
neighbouring tiles is contiguous, and the products over channels are the register tile's matrix products, one per point.
Depth (with its stride and dilation) and the kernel's pieces are summed with the channels. An infinity or NaN in the input
reaches every output of the tiles that read it, not only those of its taps.
"""

from __future__ import annotations

from dataclasses import dataclass

from kerf.kernels.codegen.conv.band import band_code, band_elements, site_offsets
from kerf.kernels.codegen.conv.epilogue import Epilogue, pointer, signature
from kerf.kernels.codegen.conv.filtering import Filtering, Side, tile_sites
from kerf.kernels.codegen.conv.geometry import Geometry
from kerf.kernels.codegen.conv.micro import micro_kernels, vector_types
from kerf.kernels.codegen.conv.passes import pass_code, pass_from_code
from kerf.kernels.codegen.conv.tiles import Plan, cut_code, decode, rounded, table
from kerf.kernels.codegen.conv.toom import Transform, transform
from kerf.kernels.codegen.conv.weights import packed, packs_once, weight_index
from kerf.kernels.codegen.expr import CTYPE, loaded
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.ir import Conv, Group


@dataclass(frozen=True)
class Winograd:
    """`plan` is over tiles; `original` is the convolution's own geometry."""

    original: Geometry
    plan: Plan
    filtering: Filtering

    @property
    def height(self) -> Transform:
        return _transform(self.filtering.height)

    @property
    def width(self) -> Transform:
        return _transform(self.filtering.width)

    @property
    def points(self) -> int:
        return self.filtering.points

    @property
    def parts(self) -> int:
        """Addends of an input channel."""
        return self.original.kernel[0] * self.filtering.pieces

    @property
    def depth(self) -> int:
        """Products summed per point."""
        return self.plan.geometry.group_channels * self.parts

    @property
    def blocks(self) -> int:
        return -(-self.plan.geometry.group_filters // self.plan.rows)

    @property
    def weights_size(self) -> int:
        return self.original.groups * self.points * self.blocks * self.depth * self.plan.rows

    @property
    def data_pitch(self) -> int:
        """Elements from one point's inputs to the next: an odd number of cache lines, or all points fall in one set."""
        return _odd_lines(self.depth * self.plan.tile, self.plan.element)

    @property
    def sums_pitch(self) -> int:
        return _odd_lines(self.blocks * self.plan.rows * self.plan.tile, self.plan.element)


def _odd_lines(elements: int, size: int) -> int:
    lines = -(-elements * size // 64)
    return (lines + 1 - lines % 2) * 64 // size


def _transform(side: Side) -> Transform:
    return transform(side.outputs, side.taps)


def emit(group: Group, wino: Winograd, threads: int, symbol: str) -> Emitted:
    plan, g, conv = wino.plan, wino.original, group.ops[0]
    assert isinstance(conv, Conv)
    epilogue = Epilogue(group, g)
    code = [
        "#include <omp.h>\n",
        vector_types(symbol, plan.kind, plan.lanes, plan.element),
        _pack_code(symbol, wino, group),
        band_code(symbol, plan.geometry, plan.blocking, plan.kind, group.buffer(conv.x).dtype),
        micro_kernels(symbol, plan.kind, plan.rows, plan.vectors, plan.tile),
        cut_code(symbol, plan),
        _data_code(symbol, wino),
        epilogue.code(symbol),
        _output_code(symbol, wino, epilogue),
        _kernel_code(symbol, wino, epilogue),
    ]
    scratch = threads * _Areas(wino).bytes + (
        0 if packs_once(group) else rounded(wino.weights_size * plan.element)
    )
    moved = sum(b.bytes for b in (*group.inputs, *group.outputs))
    packs = packed(group, symbol, wino.weights_size, plan.kind, plan.element)
    return Emitted("\n".join(code), symbol, scratch, packs, g.flops, float(moved))


class _Areas:
    """A thread's scratch, in bytes: offsets of its parts and the whole."""

    def __init__(self, w: Winograd) -> None:
        p, e = w.plan, w.plan.element
        sizes = {
            "band": band_elements(p.geometry, p.blocking, 2 * p.tile + p.lanes) * e,
            "gathered": (w.points * p.tile + p.tile) * e,
            "data": w.points * w.data_pitch * e,
            "sums": w.points * w.sums_pitch * e,
            "woven": 2 * w.height.outputs * w.width.outputs * p.tile * e,
            "span": p.tiles * 24,
            "run": p.tiles * p.runs * 32,
        }
        self.at: dict[str, int] = {}
        self.bytes = 0
        for name, size in sizes.items():
            self.at[name] = self.bytes
            self.bytes += rounded(size)


def _pack_code(symbol: str, w: Winograd, group: Group) -> str:
    g, p = w.original, w.plan
    conv = group.ops[0]
    assert isinstance(conv, Conv)
    dtype = group.buffer(conv.weight).dtype
    gh, gw = (
        "{"
        + ", ".join(
            "{" + ", ".join(f"{c.numerator}.0 / {c.denominator}" for c in row) + "}" for row in t.weight
        )
        + "}"
        for t in (w.height, w.width)
    )
    rows, columns = w.filtering.height, w.filtering.width
    kd, kh, kw = g.kernel
    flat = f"(kd * {kh} + th[ph][i]) * {kw} + tw[pw][j]"
    if g.transposed:
        flat = f"{g.taps - 1} - ({flat})"
    some = f"o < {g.group_filters} && th[ph][i] >= 0 && tw[pw][j] >= 0"
    return f"""/* Weights transformed, in double precision, as [group][point][block of {p.rows} filters][channel][depth][piece][filter]. */
static void {symbol}_pack(const void *const *sources, void *packed)
{{
    static const double gh[{rows.points}][{rows.taps}] = {gh}, gw[{columns.points}][{columns.taps}] = {gw};
    static const int th[][{rows.taps}] = {_taps(rows)}, tw[][{columns.taps}] = {_taps(columns)};
    const {CTYPE[dtype]} *w = (const {CTYPE[dtype]} *)sources[0];
    {p.kind} *to = ({p.kind} *)packed;
    for (long g = 0; g < {g.groups}; g++)
    for (long block = 0; block < {w.blocks}; block++)
    for (long c = 0; c < {g.group_channels}; c++)
    for (long kd = 0; kd < {kd}; kd++)
    for (long ph = 0; ph < {len(rows.pieces)}; ph++)
    for (long pw = 0; pw < {len(columns.pieces)}; pw++)
    for (long r = 0; r < {p.rows}; r++) {{
        const long o = block * {p.rows} + r, part = (kd * {len(rows.pieces)} + ph) * {len(columns.pieces)} + pw;
        double half[{rows.points}][{columns.taps}];
        for (int a = 0; a < {rows.points}; a++)
            for (int j = 0; j < {columns.taps}; j++) {{
                half[a][j] = 0;
                for (int i = 0; i < {rows.taps}; i++)
                    if ({some}) half[a][j] += gh[a][i] * {loaded(f"w[{weight_index(g, 'g', 'o', 'c')} + {flat}]", dtype)};
            }}
        for (int a = 0; a < {rows.points}; a++)
            for (int b = 0; b < {columns.points}; b++) {{
                double sum = 0;
                for (int j = 0; j < {columns.taps}; j++) sum += gw[b][j] * half[a][j];
                const long point = a * {columns.points} + b;
                to[(((g * {w.points} + point) * {w.blocks} + block) * {w.depth} + c * {w.parts} + part) * {p.rows} + r] = ({p.kind})sum;
            }}
    }}
}}
"""


def _taps(side: Side) -> str:
    return "{" + ", ".join("{" + ", ".join(map(str, p.taps)) + "}" for p in side.pieces) + "}"


def _data_code(symbol: str, w: Winograd) -> str:
    """`SYMBOL_data(band, span, run, gathered, data)`: the transformed inputs of a tile of tiles, [point][channel][part][column]."""
    p, g = w.plan, w.plan.geometry
    k, ah, aw = p.kind, w.height.points, w.width.points
    sites = site_offsets(g, p.blocking)
    offsets = [sites[i] for i in tile_sites(w.original, w.filtering)]
    loop = f"for (long v = 0; v < span->count; v += {symbol}_LANES)"
    if p.tiling == "panel":
        source = f"""for (long s = 0; s < {w.points}; s++)
                for (int r = 0; r < span->runs; r++) {{
                    const {k} *restrict from = band + c * {p.channel_step}L + {symbol}_site[part * {w.points} + s] + run[r].band;
                    for (long i = 0; i < run[r].count; i += {symbol}_LANES)
                        *({symbol}_any *)(gathered + s * {p.tile} + run[r].first + i) = *(const {symbol}_any *)(from + i);
                }}
            const {k} *in = gathered;
            const int *site = {symbol}_gathered;"""
    else:
        source = f"""const {k} *in = band + c * {p.channel_step}L + span->band;
            const int *site = {symbol}_site + part * {w.points};"""
    return f"""{table(f"{symbol}_site", offsets)}
{table(f"{symbol}_gathered", [i * p.tile for i in range(w.points)]) if p.tiling == "panel" else ""}
{pass_from_code(symbol, "data_h", w.height.data, k)}
{pass_code(symbol, "data_w", w.width.data, k)}
/* Inputs of up to {p.tile} tiles, transformed, as [point][channel][part][tile]. */
static void {symbol}_data(const {k} *restrict band, const {symbol}_span *restrict span, const {symbol}_run *restrict run, {k} *restrict gathered, {k} *restrict data)
{{
    (void)run; (void)gathered;
    for (long c = 0; c < {g.group_channels}; c++)
        for (long part = 0; part < {w.parts}; part++) {{
            {source}
            {k} *to = data + (c * {w.parts} + part) * {p.tile};
            {loop} {{
                {k} half[{w.points} * {symbol}_LANES] __attribute__((aligned(64)));
                for (long j = 0; j < {aw}; j++)
                    {symbol}_data_h(in + v, site + j, {aw}, half + j * {symbol}_LANES, {aw} * {symbol}_LANES);
                for (long i = 0; i < {ah}; i++)
                    {symbol}_data_w(half + i * {aw} * {symbol}_LANES, {symbol}_LANES, to + i * {aw * w.data_pitch}L + v, {w.data_pitch});
            }}
        }}
}}
"""


def _output_code(symbol: str, w: Winograd, e: Epilogue) -> str:
    """`SYMBOL_output`: the sums of one filter over a tile of tiles, transformed back and finished."""
    p, g, k = w.plan, w.original, w.plan.kind
    mh, mw, aw = w.height.outputs, w.width.outputs, w.width.points
    weave = " ".join(f"row[t * {mw} + {j}] = y[{j} * {p.tile} + t];" for j in range(mw))
    return f"""{pass_code(symbol, "out_h", w.height.output, k)}
{pass_code(symbol, "out_w", w.width.output, k)}
/* The sums of filter o over a tile of tiles: transformed back, woven into rows, finished. */
static void {symbol}_output(const {k} *restrict sums, const {symbol}_span *restrict span, const {symbol}_run *restrict run, {k} *restrict woven,
    long n0, long o, long d0, long h0, long w0, {e.parameters})
{{
    {k} *flat = woven + {mh * mw * p.tile};
    for (long v = 0; v < span->count; v += {symbol}_LANES) {{
        {k} half[{mh * aw} * {symbol}_LANES] __attribute__((aligned(64)));
        for (long j = 0; j < {aw}; j++)
            {symbol}_out_h(sums + j * {w.sums_pitch}L + v, {aw * w.sums_pitch}L, half + j * {symbol}_LANES, {aw} * {symbol}_LANES);
        for (long i = 0; i < {mh}; i++)
            {symbol}_out_w(half + i * {aw} * {symbol}_LANES, {symbol}_LANES, flat + i * {mw * p.tile} + v, {p.tile});
    }}
    for (long i = 0; i < {mh}; i++) {{
        const {k} *restrict y = flat + i * {mw * p.tile};
        {k} *restrict row = woven + i * {mw * p.tile};
        for (long t = 0; t < span->count; t++) {{ {weave} }}
        for (int r = 0; r < span->runs; r++) {{
            const long h = (h0 + run[r].h) * {mh} + i, w = (w0 + run[r].w) * {mw}, left = {g.outside[2]} - w;
            if (h >= {g.outside[1]}) continue;
            {symbol}_finish(row + run[r].first * {mw}, {e.arguments}, n0 + run[r].n, o, d0 + run[r].d, h, w,
                run[r].count * {mw} < left ? run[r].count * {mw} : left);
        }}
    }}
}}
"""


def _kernel_code(symbol: str, w: Winograd, e: Epilogue) -> str:
    p, g, k, b = w.plan, w.plan.geometry, w.plan.kind, w.plan.blocking
    conv, once, area = e.conv, packs_once(e.group), _Areas(w)
    counts = b.counts
    pack = (
        ""
        if once
        else f"""    {k} *packed = ({k} *)scratch;
    {symbol}_pack((const void *const[]){{{pointer(conv.weight)}}}, packed);
    scratch += {rounded(w.weights_size * p.element)};
"""
    )
    parts = ", ".join(
        f"*{name} = ({k} *)(own + {area.at[name]}L)" for name in ("band", "gathered", "data", "sums", "woven")
    )
    return f"""/* F({w.height.outputs}x{w.width.outputs}, {w.height.taps}x{w.width.taps}), {w.points} points: {p.tile} tiles at a time. */
static void {symbol}({signature(e.group, k, once)}, char *restrict scratch, int threads)
{{
{pack}    static const int here[] = {{0}};
    const long tasks = {g.groups}L * {counts[0] * counts[1] * counts[2] * counts[3]} * {b.parts};
    (void)threads;
    #pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (long task = 0; task < tasks; task++) {{
        char *own = scratch + omp_get_thread_num() * {area.bytes}L;
{decode(b, g.groups)}        const long first = part * {w.blocks} / {b.parts}, stop = (part + 1) * {w.blocks} / {b.parts};
        const long last = stop * {p.rows} < {g.group_filters} ? stop * {p.rows} : {g.group_filters};
        {k} {parts};
        {symbol}_span *span = ({symbol}_span *)(own + {area.at["span"]}L);
        {symbol}_run *run = ({symbol}_run *)(own + {area.at["run"]}L);
        const {k} *weights = {pointer(conv.weight) if once else "packed"} + g * {w.points * w.blocks * w.depth * p.rows}L;
        {symbol}_band({pointer(conv.x)}, band, n0, g * {g.group_channels}, d0, h0, w0, nb, db, hb, wb);
        const long tiles = {symbol}_cut(span, run, nb, db, hb, wb);
        for (long t = 0; t < tiles; t++) {{
            {symbol}_data(band, &span[t], run + t * {p.runs}, gathered, data);
            for (long point = 0; point < {w.points}; point++)
                for (long block = first; block < stop; block++)
                    {symbol}_tile(span[t].count, {w.depth}, {p.tile}, 1, here, weights + (point * {w.blocks} + block) * {w.depth * p.rows}L,
                        data + point * {w.data_pitch}L, sums + point * {w.sums_pitch}L + block * {p.rows * p.tile});
            for (long o = first * {p.rows}; o < last; o++)
                {symbol}_output(sums + o * {p.tile}, &span[t], run + t * {p.runs}, woven, n0, g * {g.group_filters} + o, d0, h0, w0, {e.arguments});
        }}
    }}
}}
"""
