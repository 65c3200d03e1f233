"""The band: a block of the input with its padding, converted to the type of arithmetic and split by stride phase."""

from __future__ import annotations

from math import prod

from kerf.kernels.codegen.conv.blocking import Blocking
from kerf.kernels.codegen.conv.geometry import Geometry
from kerf.kernels.codegen.expr import CTYPE, loaded
from kerf.kernels.ir import DType


def phases(g: Geometry) -> int:
    return prod(len(u) for u in g.used)


def band_elements(g: Geometry, b: Blocking, slack: int) -> int:
    """Elements of the band; `slack`: how far a vector load may run over its end."""
    return g.group_channels * phases(g) * b.plane + slack


def band_code(symbol: str, g: Geometry, b: Blocking, kind: str, dtype: DType) -> str:
    """`SYMBOL_band(x, band, n0, c0, d0, h0, w0, nb, db, hb, wb)`: the input of the block at (n0, d0, h0, w0), laid out
    [channel][phase][image][d][h][w] with the pitches of a full block, zero where the input is padding."""
    storage, lengths = CTYPE[dtype], b.lengths
    used = [", ".join(map(str, u)) for u in g.used]
    counts = [len(u) for u in g.used]
    row = f"(c * {prod(counts)} + (id_phase * {counts[1]} + ih_phase) * {counts[2]}) * {b.plane}L"
    inner = f"(n * {lengths[1]} + d) * {lengths[2] * lengths[3]}L + h * {lengths[3]}L"
    return f"""{_row_code(symbol, g, b, kind, dtype)}
/* The block's input as [channel][stride phase][image][d][h][w], zero where it is padding. */
static void {symbol}_band(const {storage} *restrict x, {kind} *restrict band, long n0, long c0, long d0, long h0, long w0,
    long nb, long db, long hb, long wb)
{{
    static const int phase_d[] = {{{used[0]}}}, phase_h[] = {{{used[1]}}};
    const long wide = wb + {b.reach[3]}, start = w0 * {g.step[2]} + {g.origin[2]};
    for (long c = 0; c < {g.group_channels}; c++)
    for (long id_phase = 0; id_phase < {counts[0]}; id_phase++)
    for (long ih_phase = 0; ih_phase < {counts[1]}; ih_phase++)
    for (long n = 0; n < nb; n++)
    for (long d = 0; d < db + {b.reach[1]}; d++)
    for (long h = 0; h < hb + {b.reach[2]}; h++) {{
        {kind} *restrict to = band + {row} + {inner};
        const long id = (d0 + d) * {g.step[0]} + phase_d[id_phase] + {g.origin[0]}, ih = (h0 + h) * {g.step[1]} + phase_h[ih_phase] + {g.origin[1]};
        const int inside = id >= 0 && id < {g.inside[0]} && ih >= 0 && ih < {g.inside[1]};
        const {storage} *from = x + (((n0 + n) * {g.channels} + c0 + c) * {g.inside[0]} + (inside ? id : 0)) * {g.inside[1] * g.inside[2]}L + (inside ? ih : 0) * {g.inside[2]}L;
{_prefetch(g, dtype)}        {symbol}_band_row(from, to, start, wide, inside);
    }}
}}
"""


def _prefetch(g: Geometry, dtype: DType) -> str:
    """Strided rows are read too slowly for hardware prefetchers to run ahead of, and those stop at a page: ask for the rows at
    least 4 KiB on. Plain copies are better left alone."""
    if g.step[2] == 1:
        return ""
    ahead = -(-4096 // (g.inside[2] * dtype.bytes)) * g.inside[2] * g.step[1]
    return f"        for (long i = 0; i < {g.inside[2]}; i += {64 // dtype.bytes}) __builtin_prefetch(from + {ahead} + i);\n"


def _row_code(symbol: str, g: Geometry, b: Blocking, kind: str, dtype: DType) -> str:
    """`SYMBOL_band_row(from, to, start, wide, inside)`: one input row, all its phases; the middle, where every phase is inside
    the tensor, in one loop so that compilers turn the strided reads into permutations."""
    step, used = g.step[2], g.used[2]
    to = [f"to[{p * b.plane}L + i]" for p in range(len(used))]
    value = [
        loaded(f"from[start + i * {step} + {phase}]" if step > 1 else f"from[start + i + {phase}]", dtype)
        for phase in used
    ]
    middle = " ".join(f"{t} = {v};" for t, v in zip(to, value, strict=True))
    guarded = " ".join(
        f"{t} = start + i * {step} + {phase} >= 0 && start + i * {step} + {phase} < {g.inside[2]} ? {v} : 0;"
        for t, v, phase in zip(to, value, used, strict=True)
    )
    nothing = " ".join(f"{t} = 0;" for t in to)
    return f"""static void {symbol}_band_row(const {CTYPE[dtype]} *restrict from, {kind} *restrict to, long start, long wide, int inside)
{{
    if (!inside) {{
        for (long i = 0; i < wide; i++) {{ {nothing} }}
        return;
    }}
    const long low = start + {used[0]}, high = {g.inside[2]} - start - {used[-1]};
    long first = low < 0 ? (-low + {step - 1}) / {step} : 0;
    first = first < wide ? first : wide;
    long last = high > 0 ? (high + {step - 1}) / {step} : 0;
    last = last < wide ? last : wide;
    last = last > first ? last : first;
    for (long i = 0; i < first; i++) {{ {guarded} }}
    for (long i = first; i < last; i++) {{ {middle} }}
    for (long i = last; i < wide; i++) {{ {guarded} }}
}}
"""


def site_offsets(g: Geometry, b: Blocking) -> list[int]:
    """Where each site of the geometry lies in a channel's part of the band, relative to a position's own offset."""
    offsets = []
    for site in g.sites:
        phase = (site.phase[0] * len(g.used[1]) + site.phase[1]) * len(g.used[2]) + site.phase[2]
        shift = sum(s * p for s, p in zip(site.shift, b.pitches[1:], strict=True))
        offsets.append(phase * b.plane + shift)
    return offsets
