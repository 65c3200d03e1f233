"""One input channel a group: no sum over channels, so memory is what it costs.

A block of rows of one channel is padded into the first-level cache once; then several output rows at a time slide over it, each
loaded vector serving every tap and row that reads it. The next block's input is asked for meanwhile, so that memory and
arithmetic overlap, and a large output is streamed past the caches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kerf.kernels.codegen.conv.band import band_code, band_elements
from kerf.kernels.codegen.conv.blocking import Blocking
from kerf.kernels.codegen.conv.epilogue import Epilogue, pointer, signature
from kerf.kernels.codegen.conv.geometry import Geometry, Phase
from kerf.kernels.codegen.conv.micro import vector_types
from kerf.kernels.codegen.conv.tiles import decode, rounded
from kerf.kernels.codegen.expr import CTYPE, loaded
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.ir import Group

# Beyond this the unrolled text costs more to compile and fetch than it saves.
_MOST_TAPS = 256


@dataclass(frozen=True)
class Sliding:
    """`height` output rows and `vectors` vectors of columns at a time."""

    geometry: Geometry
    blocking: Blocking
    kind: str
    element: int
    lanes: int
    height: int
    vectors: int
    streamed: bool

    @property
    def pitch(self) -> int:
        """Elements of a row of sums: whole strips of vectors."""
        strip = self.lanes * self.vectors
        return -(-self.blocking.block[3] // strip) * strip


def legal(g: Geometry) -> bool:
    return g.group_channels == 1 and g.taps <= _MOST_TAPS


def aligned(b: Blocking, height: int) -> Blocking:
    """Blocks of whole steps of `height` rows where there are several, each with all filters of its group: there are few."""
    images, d, h, w = b.block
    return replace(b, block=(images, d, h if h == b.extent[2] else h - h % height, w), parts=1)


def streams(group: Group, g: Geometry, blocking: Blocking) -> bool:
    """Whether a block's output planes are runs of memory, which can be stored past the caches."""
    return g.out_stride == (1, 1, 1) and blocking.counts[3] == 1 and len(group.outputs) == 1


def emit(group: Group, s: Sliding, threads: int, symbol: str) -> Emitted:
    g, epilogue = s.geometry, Epilogue(group, s.geometry)
    x = group.buffer(epilogue.conv.x)
    code = [
        "#include <omp.h>\n",
        vector_types(symbol, s.kind, s.lanes, s.element),
        band_code(symbol, g, s.blocking, s.kind, x.dtype),
        epilogue.code(symbol, staged=s.streamed),
        *(
            _rows_code(symbol, replace(s, height=height), i, epilogue)
            for i in range(len(g.phases))
            for height in sorted({1, s.height})
        ),
        "" if _lined(s, epilogue) else _finish_code(symbol, s, epilogue),
        _kernel_code(symbol, s, epilogue),
    ]
    moved = sum(b.bytes for b in (*group.inputs, *group.outputs))
    return Emitted("\n".join(code), symbol, threads * _Areas(s, epilogue).bytes, (), g.flops, float(moved))


class _Areas:
    """A thread's scratch in bytes."""

    def __init__(self, s: Sliding, e: Epilogue) -> None:
        g = s.geometry
        self.band = rounded(band_elements(g, s.blocking, 2 * s.pitch + s.lanes) * s.element)
        self.sums = rounded(g.out_stride[2] * s.height * s.pitch * s.element)
        self.woven = rounded(g.out_stride[2] * s.pitch * s.element)
        self.stage = rounded(s.height * g.outside[2] * e.group.outputs[0].dtype.bytes) if s.streamed else 0

    @property
    def bytes(self) -> int:
        return self.band + self.sums + self.woven + self.stage


def _reads(s: Sliding, phase: Phase) -> dict[int, list[tuple[int, int]]]:
    """Offset in the band -> the (row, tap) pairs that read it, in the order of memory."""
    g, b = s.geometry, s.blocking
    found: dict[int, list[tuple[int, int]]] = {}
    for row in range(s.height):
        for tap in phase.taps:
            site = g.sites[tap.site]
            index = (site.phase[0] * len(g.used[1]) + site.phase[1]) * len(g.used[2]) + site.phase[2]
            d, h, w = site.shift
            at = index * b.plane + d * b.pitches[1] + (h + row) * b.pitches[2] + w
            found.setdefault(at, []).append((row, tap.flat))
    return dict(sorted(found.items()))


def _lined(s: Sliding, e: Epilogue) -> bool:
    """Whether rows are streamed and whole lines, so that a strip can go from registers to memory."""
    return s.streamed and s.geometry.outside[2] * e.group.outputs[0].dtype.bytes % 64 == 0


def _rows_code(symbol: str, s: Sliding, index: int, e: Epilogue) -> str:
    """`SYMBOL_rowsH_P(in, w, out, width)`: the sums of H output rows of phase P; out has rows of `pitch`. Where `_lined`, finished:
    `SYMBOL_rowsH_P(in, w, width, n, o, d, h, buffers)`."""
    k, many = s.kind, range(s.vectors)
    reads = _reads(s, s.geometry.phases[index])
    lines = [f"        {symbol}_vec {', '.join(f's{r}_{v} = {{0}}' for v in many)};" for r in range(s.height)]
    for number, (at, users) in enumerate(reads.items()):
        for v in many:
            lines.append(
                f"        const {symbol}_vec x{number}_{v} = *(const {symbol}_any *)(p + {at} + {v} * {symbol}_LANES);"
            )
        lines += [
            f"        {' '.join(f's{r}_{v} += w[{t}] * x{number}_{v};' for v in many)}" for r, t in users
        ]
    lines += _lines_out(symbol, s, e) if _lined(s, e) else _sums_out(symbol, s)
    body = "\n".join(lines)
    return f"""static void __attribute__((noinline)) {symbol}_rows{s.height}_{index}(const {k} *restrict in, const {k} *restrict w, {_rows_parameters(k, s, e)})
{{
    (void)w;
    for (long i = 0; i < width; i += {s.vectors} * {symbol}_LANES) {{
        const {k} *p = in + i;
        (void)p;
{body}
    }}
}}
"""


def _rows_parameters(kind: str, s: Sliding, e: Epilogue) -> str:
    if _lined(s, e):
        return f"long width, long n, long o, long d, long h, {e.parameters}"
    return f"{kind} *restrict out, long width"


def _sums_out(symbol: str, s: Sliding) -> list[str]:
    many = range(s.vectors)
    return [
        "        "
        + " ".join(
            f"*({symbol}_any *)(out + i + {r * s.pitch} + {v} * {symbol}_LANES) = s{r}_{v};" for v in many
        )
        for r in range(s.height)
    ]


def _lines_out(symbol: str, s: Sliding, e: Epilogue) -> list[str]:
    """Finishes a strip of each row in small arrays, which compilers keep in registers where the strip is whole."""
    g, out = s.geometry, e.group.outputs[0]
    strip, kind = s.vectors * s.lanes, CTYPE[out.dtype]
    names = ", ".join("line" if b.name == out.name else pointer(b.name) for b in e.buffers)
    lines = []
    for r in range(s.height):
        sums = " ".join(f"*({symbol}_any *)(sum + {v * s.lanes}) = s{r}_{v};" for v in range(s.vectors))
        at = f"((n * {g.filters} + o) * {g.outside[0]} + d) * {g.outside[1] * g.outside[2]}L + (h + {r}) * {g.outside[2]}L + i"
        finish = f"{symbol}_finish(sum, {names}, n, o, d, h + {r}, i"
        store = f"kf_stream({pointer(out.name)} + {at}, line"
        lines += [
            f"        {{ {s.kind} sum[{strip}] __attribute__((aligned(64))); {kind} line[{strip}] __attribute__((aligned(64))); {sums}",
            f"          if (width - i >= {strip}) {{ {finish}, {strip}); {store}, sizeof line); }}",
            f"          else {{ {finish}, width - i); {store}, (width - i) * sizeof *line); }} }}",
        ]
    return lines


def _finish_code(symbol: str, s: Sliding, e: Epilogue) -> str:
    g, k, sw = s.geometry, s.kind, s.geometry.out_stride[2]
    if sw == 1:
        body = f"    (void)woven;\n    {symbol}_finish(sums, {e.arguments}, n, o, d, h, w0, wb);"
    else:
        weave = " ".join(f"woven[j * {sw} + {p}] = sums[{p * s.height * s.pitch} + j];" for p in range(sw))
        body = f"""    const long left = {g.outside[2]} - w0 * {sw};
    for (long j = 0; j < wb; j++) {{ {weave} }}
    {symbol}_finish(woven, {e.arguments}, n, o, d, h, w0 * {sw}, wb * {sw} < left ? wb * {sw} : left);"""
    return f"""static void {symbol}_row(const {k} *restrict sums, {k} *restrict woven, long n, long o, long d, long h, long w0, long wb, {e.parameters})
{{
{body}
}}
"""


def _kernel_code(symbol: str, s: Sliding, e: Epilogue) -> str:
    g, k, b, area = s.geometry, s.kind, s.blocking, _Areas(s, e)
    sd, sh, _ = g.out_stride
    dtype = e.group.buffer(e.conv.weight).dtype
    weights = pointer(e.conv.weight)
    counts = b.counts
    calls = "\n".join(_phase_call(symbol, s, e, outer) for outer in range(sd * sh))
    return f"""/* {g.channels} channels, kernel {g.kernel}: {s.height} rows of {s.vectors} vectors at a time. */
static void {symbol}({signature(e.group, k, False)}, char *restrict scratch, int threads)
{{
    const long tasks = {g.groups}L * {counts[0] * counts[1] * counts[2] * counts[3]};
    (void)threads;
    #pragma omp parallel num_threads(threads)
    {{
    #pragma omp for schedule(dynamic, 4) nowait
    for (long task = 0; task < tasks; task++) {{
        char *own = scratch + omp_get_thread_num() * {area.bytes}L;
{decode(b, g.groups)}        {k} *band = ({k} *)own, *sums = ({k} *)(own + {area.band}), *woven = ({k} *)(own + {area.band + area.sums});
{_stage(s, e, area)}        {symbol}_band({pointer(e.conv.x)}, band, n0, g, d0, h0, w0, nb, db, hb, wb);
        for (long o = g * {g.group_filters}; o < (g + 1) * {g.group_filters}; o++) {{
            {k} w[{g.taps}];
            for (long t = 0; t < {g.taps}; t++) w[t] = {loaded(f"{weights}[o * {g.taps} + t]", dtype)};
            for (long n = 0; n < nb; n++)
            for (long d = 0; d < db; d++)
            for (long h = 0; h < hb;) {{
                const long rows = hb - h >= {s.height} ? {s.height} : 1;
                const {k} *in = band + n * {b.pitches[0]}L + d * {b.pitches[1]}L + h * {b.pitches[2]}L;
{_prefetch(s, e)}{calls}
{_stream(s, e)}                h += rows;
            }}
        }}
    }}
{"    kf_stream_end();" if s.streamed else ""}
    }}
}}
"""


def _prefetch(s: Sliding, e: Epilogue) -> str:
    """Asks for the rows of the next block that lie where `rows` from h lie in this one."""
    g, b, x = s.geometry, s.blocking, e.group.buffer(e.conv.x)
    if b.counts[3] > 1:
        return ""
    row, step = g.inside[2], g.step
    ahead = f"db * {step[0] * g.inside[1]}" if b.counts[2] == 1 else f"hb * {step[1]}"
    if b.counts[1] == b.counts[2] == 1:
        ahead = str(g.inside[0] * g.inside[1])
    plane = f"((n0 + n) * {g.channels} + g) * {g.inside[0]} + (d0 + d) * {step[0]}"
    return f"""                const {CTYPE[x.dtype]} *next = {pointer(e.conv.x)} + (({plane}) * {g.inside[1]} + (h0 + h) * {step[1]} + {ahead}) * {row}L;
                for (long i = 0; i < rows * {step[1] * row}; i += {64 // x.dtype.bytes}) __builtin_prefetch(next + i);
"""


def _stage(s: Sliding, e: Epilogue, area: _Areas) -> str:
    if not s.streamed or _lined(s, e):
        return ""
    kind = CTYPE[e.group.outputs[0].dtype]
    return f"        {kind} *stage = ({kind} *)(own + {area.band + area.sums + area.woven});\n"


def _stream(s: Sliding, e: Epilogue) -> str:
    """Moves finished rows from the stage to the output: few at a time, so that stores and arithmetic overlap."""
    if not s.streamed or _lined(s, e):
        return ""
    g, out = s.geometry, e.group.outputs[0]
    at = f"(((n0 + n) * {g.filters} + o) * {g.outside[0]} + d0 + d) * {g.outside[1] * g.outside[2]}L + (h0 + h) * {g.outside[2]}L"
    return f"                kf_stream({pointer(out.name)} + {at}, stage, rows * {g.outside[2] * out.dtype.bytes});\n"


def _phase_call(symbol: str, s: Sliding, e: Epilogue, outer: int) -> str:
    if _lined(s, e):
        rest = f"wb, n0 + n, o, d0 + d, h0 + h, {e.arguments}"
        single = f"{symbol}_rows1_0(in, w, {rest});"
        whole = f"if (rows == {s.height}) {symbol}_rows{s.height}_0(in, w, {rest}); else "
        return f"                (void)sums; (void)woven;\n                {whole if s.height > 1 else ''}{single}"
    g = s.geometry
    sd, sh, sw = g.out_stride
    block = s.height * s.pitch
    whole, single = (
        " ".join(f"{symbol}_rows{n}_{outer * sw + p}(in, w, sums + {p * block}, wb);" for p in range(sw))
        for n in (s.height, 1)
    )
    run = f"if (rows == {s.height}) {{ {whole} }} else {{ {single} }}" if s.height > 1 else single
    return f"""                {run}
                for (long r = 0; r < rows; r++) {{
                    const long oh = (h0 + h + r) * {sh} + {outer % sh}, od = (d0 + d) * {sd} + {outer // sh};
                    if (oh < {g.outside[1]} && od < {g.outside[0]})
                        {symbol}_row(sums + r * {s.pitch}, woven, n0 + n, o, od, oh, w0, wb, {_targets(s, e)});
                }}"""


def _targets(s: Sliding, e: Epilogue) -> str:
    """The epilogue's buffers for row r of `rows`."""
    out = e.group.outputs[0].name
    row = f"stage + r * {s.geometry.outside[2]}"
    return ", ".join(row if s.streamed and b.name == out else pointer(b.name) for b in e.buffers)
