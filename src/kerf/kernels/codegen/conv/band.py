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
    copy = (
        loaded(f"from[(start + i * {g.step[2]})]", dtype)
        if g.step[2] != 1
        else loaded("from[start + i]", dtype)
    )
    return f"""/* The block's input as [channel][stride phase][image][d][h][w], zero where it is padding. */
static void {symbol}_band(const {storage} *restrict x, {kind} *restrict band, long n0, long c0, long d0, long h0, long w0,
    long nb, long db, long hb, long wb)
{{
    static const int phase_d[] = {{{used[0]}}}, phase_h[] = {{{used[1]}}}, phase_w[] = {{{used[2]}}};
    const long wide = wb + {b.reach[3]};
    for (long c = 0; c < {g.group_channels}; c++)
    for (long phase = 0; phase < {prod(counts)}; phase++) {{
        const long pd = phase_d[phase / {counts[1] * counts[2]}], ph = phase_h[phase / {counts[2]} % {counts[1]}];
        const long start = w0 * {g.step[2]} + phase_w[phase % {counts[2]}] + {g.origin[2]};
        long first = start < 0 ? (-start + {g.step[2] - 1}) / {g.step[2]} : 0;
        long last = start < {g.inside[2]} ? ({g.inside[2]} - start + {g.step[2] - 1}) / {g.step[2]} : 0;
        first = first < wide ? first : wide;
        last = last < wide ? last : wide;
        last = last > first ? last : first;
        for (long n = 0; n < nb; n++)
        for (long d = 0; d < db + {b.reach[1]}; d++)
        for (long h = 0; h < hb + {b.reach[2]}; h++) {{
            {kind} *restrict to = band + (((c * {prod(counts)} + phase) * {lengths[0]} + n) * {lengths[1]} + d) * {lengths[2] * lengths[3]}L + h * {lengths[3]}L;
            const long id = (d0 + d) * {g.step[0]} + pd + {g.origin[0]}, ih = (h0 + h) * {g.step[1]} + ph + {g.origin[1]};
            if (id < 0 || id >= {g.inside[0]} || ih < 0 || ih >= {g.inside[1]}) {{
                for (long i = 0; i < wide; i++) to[i] = 0;
                continue;
            }}
            const {storage} *restrict from = x + (((n0 + n) * {g.channels} + c0 + c) * {g.inside[0]} + id) * {g.inside[1] * g.inside[2]}L + ih * {g.inside[2]}L;
            for (long i = 0; i < first; i++) to[i] = 0;
            for (long i = first; i < last; i++) to[i] = {copy};
            for (long i = last; i < wide; i++) to[i] = 0;
        }}
    }}
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
