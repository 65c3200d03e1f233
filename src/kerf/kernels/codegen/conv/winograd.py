"""Winograd's minimal filtering for small kernels of stride and dilation one in height and width.

Tiles of outputs are the vector dimension: the input is read through a band split by tile phase, so that the same element of
neighbouring tiles is contiguous, and the products over channels are the register tile's matrix products, one per point.
Any depth (with its stride and dilation) is summed with the channels. An infinity or NaN in the input reaches every
output of the tiles that read it, not only those of its taps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from kerf.kernels.codegen.conv.band import band_code, band_elements, site_offsets
from kerf.kernels.codegen.conv.epilogue import Epilogue, pointer, signature
from kerf.kernels.codegen.conv.geometry import Geometry
from kerf.kernels.codegen.conv.micro import micro_kernels, vector_types
from kerf.kernels.codegen.conv.tiles import Plan, cut_code, decode, rounded, table
from kerf.kernels.codegen.conv.toom import Matrix, Transform, transform
from kerf.kernels.codegen.conv.weights import packed, packs_once, weight_index
from kerf.kernels.codegen.expr import CTYPE, loaded
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.ir import Conv, Group


def sizes(g: Geometry) -> tuple[int, ...]:
    """The numbers of points per dimension that suit: stride 1, dilation 1 and kernels of 2 to 5 in height and width (or 1 in
    one of them), at least two outputs a tile. More than six points would cost too much accuracy in float32."""
    plain = g.stride[1:] == (1, 1) and all(
        d == 1 or k == 1 for d, k in zip(g.dilation[1:], g.kernel[1:], strict=True)
    )
    if not plain or (g.transposed and g.stride[0] != 1) or g.kernel[1:] == (1, 1):
        return ()
    return tuple(p for p in (4, 6) if all(k == 1 or p - k >= 1 for k in g.kernel[1:]))


def forward(g: Geometry) -> Geometry:
    """A stride-1 transposed convolution as the correlation with the mirrored kernel that it is."""
    if not g.transposed:
        return g
    d, h, w = (dil * (k - 1) - p for dil, k, p in zip(g.dilation, g.kernel, g.padding, strict=True))
    return replace(g, transposed=False, padding=(d, h, w))


def tile_geometry(g: Geometry, points: int) -> Geometry:
    """Tiles as the outputs of a convolution that reads all inputs of a tile."""
    g = forward(g)
    mh, mw = (points - k + 1 if k > 1 else 1 for k in g.kernel[1:])
    return replace(
        g,
        kernel=(g.kernel[0], mh + g.kernel[1] - 1, mw + g.kernel[2] - 1),
        stride=(g.stride[0], mh, mw),
        dilation=(g.dilation[0], 1, 1),
        outside=(g.outside[0], -(-g.outside[1] // mh), -(-g.outside[2] // mw)),
    )


@dataclass(frozen=True)
class Winograd:
    """`plan` is over tiles; `original` is the convolution's own geometry."""

    original: Geometry
    plan: Plan
    height: Transform
    width: Transform

    @property
    def points(self) -> int:
        return self.height.points * self.width.points

    @property
    def depth(self) -> int:
        """Products summed per point."""
        return self.plan.geometry.group_channels * self.original.kernel[0]

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


def make(g: Geometry, plan: Plan) -> Winograd:
    mh, mw = plan.geometry.stride[1:]
    return Winograd(g, plan, transform(mh, g.kernel[1]), transform(mw, g.kernel[2]))


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


# ---------------------------------------------------------------- straight-line transforms


def apply_matrix(
    matrix: Matrix, inputs: list[str], prefix: str, literal: Callable[[Fraction], str]
) -> tuple[list[str], list[str]]:
    """C expressions of matrix @ inputs, and the shared sums to bind first. Two rows that differ only in signs (a pair of
    points p, -p) are the sum and the difference of the same two halves."""
    bindings: list[str] = []
    results: dict[int, str] = {}
    for i, row in enumerate(matrix):
        if i in results:
            continue
        partner = next(
            (j for j in range(i + 1, len(matrix)) if j not in results and _mirrored(row, matrix[j])), None
        )
        if partner is None:
            results[i] = _combination(row, inputs, literal)
            continue
        even = tuple(a if a == b else Fraction(0) for a, b in zip(row, matrix[partner], strict=True))
        odd = tuple(a if a != b else Fraction(0) for a, b in zip(row, matrix[partner], strict=True))
        bindings += [
            f"{prefix}e{i} = {_combination(even, inputs, literal)}",
            f"{prefix}o{i} = {_combination(odd, inputs, literal)}",
        ]
        results[i], results[partner] = f"{prefix}e{i} + {prefix}o{i}", f"{prefix}e{i} - {prefix}o{i}"
    return bindings, [results[i] for i in range(len(matrix))]


def _mirrored(a: tuple[Fraction, ...], b: tuple[Fraction, ...]) -> bool:
    shared = sum(1 for x, y in zip(a, b, strict=True) if x and abs(x) == abs(y))
    return a != b and all(abs(x) == abs(y) for x, y in zip(a, b, strict=True)) and shared > 1


def _combination(row: tuple[Fraction, ...], inputs: list[str], literal: Callable[[Fraction], str]) -> str:
    text = ""
    for c, name in zip(row, inputs, strict=True):
        if not c:
            continue
        term = name if abs(c) == 1 else f"{literal(abs(c))} * {name}"
        text += (f" {'-' if c < 0 else '+'} " if text else ("-" if c < 0 else "")) + term
    return text or "zero"


def _pass(symbol: str, name: str, matrix: Matrix, kind: str) -> str:
    """`SYMBOL_NAME(in, in_step, out, out_step)`: out = matrix @ in on vectors, anywhere in memory."""
    suffix = "f" if kind == "float" else ""
    inputs = [f"x{i}" for i in range(len(matrix[0]))]
    used = [i for i in range(len(matrix[0])) if any(row[i] for row in matrix)]
    bindings, results = apply_matrix(matrix, inputs, "", lambda c: f"{float(c)!r}{suffix}")
    loads = "\n".join(
        f"    const {symbol}_vec x{i} = *(const {symbol}_any *)(in + {i} * in_step);" for i in used
    )
    shared = "\n".join(f"    const {symbol}_vec {b};" for b in bindings)
    stores = "\n".join(f"    *({symbol}_any *)(out + {i} * out_step) = {r};" for i, r in enumerate(results))
    return f"""static inline __attribute__((always_inline)) void {symbol}_{name}(const {kind} *in, long in_step, {kind} *out, long out_step)
{{
{loads}
{shared}
{stores}
}}
"""


def _pass_from(symbol: str, name: str, matrix: Matrix, kind: str) -> str:
    """The same, with the inputs found through a table of offsets."""
    return (
        _pass(symbol, name, matrix, kind)
        .replace("long in_step", "const int *site, long site_step")
        .replace("const int *site, long site_step,", "const int *restrict site, long site_step,")
        .replace("* in_step)", "* site_step])")
        .replace("(in + ", "(in + site[")
    )


# ---------------------------------------------------------------- the kernel's parts


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
    kd, kh, kw = g.kernel
    flat = f"(kd * {kh} + i) * {kw} + j"
    if g.transposed:
        flat = f"{g.taps - 1} - ({flat})"
    return f"""/* Weights transformed, in double precision, as [group][point][block of {p.rows} filters][channel][depth][filter]. */
static void {symbol}_pack(const void *const *sources, void *packed)
{{
    static const double gh[{w.height.points}][{kh}] = {gh}, gw[{w.width.points}][{kw}] = {gw};
    const {CTYPE[dtype]} *w = (const {CTYPE[dtype]} *)sources[0];
    {p.kind} *to = ({p.kind} *)packed;
    for (long g = 0; g < {g.groups}; g++)
    for (long block = 0; block < {w.blocks}; block++)
    for (long c = 0; c < {g.group_channels}; c++)
    for (long kd = 0; kd < {kd}; kd++)
    for (long r = 0; r < {p.rows}; r++) {{
        const long o = block * {p.rows} + r;
        double half[{w.height.points}][{kw}];
        for (int a = 0; a < {w.height.points}; a++)
            for (int j = 0; j < {kw}; j++) {{
                half[a][j] = 0;
                for (int i = 0; i < {kh} && o < {g.group_filters}; i++)
                    half[a][j] += gh[a][i] * {loaded(f"w[{weight_index(g, 'g', 'o', 'c')} + {flat}]", dtype)};
            }}
        for (int a = 0; a < {w.height.points}; a++)
            for (int b = 0; b < {w.width.points}; b++) {{
                double sum = 0;
                for (int j = 0; j < {kw}; j++) sum += gw[b][j] * half[a][j];
                const long point = a * {w.width.points} + b;
                to[(((g * {w.points} + point) * {w.blocks} + block) * {w.depth} + c * {kd} + kd) * {p.rows} + r] = ({p.kind})sum;
            }}
    }}
}}
"""


def _data_code(symbol: str, w: Winograd) -> str:
    """`SYMBOL_data(band, span, run, gathered, data)`: the transformed inputs of a tile of tiles, [point][channel][depth][column]."""
    p, g = w.plan, w.plan.geometry
    k, ah, aw, kd = p.kind, w.height.points, w.width.points, w.original.kernel[0]
    offsets = site_offsets(g, p.blocking)
    loop = f"for (long v = 0; v < span->count; v += {symbol}_LANES)"
    if p.tiling == "panel":
        source = f"""for (long s = 0; s < {w.points}; s++)
                for (int r = 0; r < span->runs; r++) {{
                    const {k} *restrict from = band + c * {p.channel_step}L + {symbol}_site[kd * {w.points} + s] + run[r].band;
                    for (long i = 0; i < run[r].count; i += {symbol}_LANES)
                        *({symbol}_any *)(gathered + s * {p.tile} + run[r].first + i) = *(const {symbol}_any *)(from + i);
                }}
            const {k} *in = gathered;
            const int *site = {symbol}_gathered;"""
    else:
        source = f"""const {k} *in = band + c * {p.channel_step}L + span->band;
            const int *site = {symbol}_site + kd * {w.points};"""
    return f"""{table(f"{symbol}_site", offsets)}
{table(f"{symbol}_gathered", [i * p.tile for i in range(w.points)]) if p.tiling == "panel" else ""}
{_pass_from(symbol, "data_h", w.height.data, k)}
{_pass(symbol, "data_w", w.width.data, k)}
/* Inputs of up to {p.tile} tiles, transformed, as [point][channel][depth][tile]. */
static void {symbol}_data(const {k} *restrict band, const {symbol}_span *restrict span, const {symbol}_run *restrict run, {k} *restrict gathered, {k} *restrict data)
{{
    (void)run; (void)gathered;
    for (long c = 0; c < {g.group_channels}; c++)
        for (long kd = 0; kd < {kd}; kd++) {{
            {source}
            {k} *to = data + (c * {kd} + kd) * {p.tile};
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
    return f"""{_pass(symbol, "out_h", w.height.output, k)}
{_pass(symbol, "out_w", w.width.output, k)}
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
