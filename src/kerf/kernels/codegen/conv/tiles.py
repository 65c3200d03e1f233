"""A block of output positions cut into tiles of columns for the register tile, and the loop over blocks."""

from __future__ import annotations

from dataclasses import dataclass

from kerf.kernels.codegen.conv.band import phases
from kerf.kernels.codegen.conv.blocking import Blocking
from kerf.kernels.codegen.conv.geometry import Geometry


@dataclass(frozen=True)
class Plan:
    """Everything that the text depends on. `tiling`: rows (a tile lies in one output row), linear (in one plane of the band, whose
    padding columns are computed and dropped) or panel (any positions of the block, gathered first). `strip`: tiles
    gathered at a time. `filters_outer`: a block of filters passes over a strip, else a tile over all filters. `borrowed`: the
    input itself serves as the band."""

    geometry: Geometry
    blocking: Blocking
    kind: str
    element: int
    lanes: int
    rows: int
    vectors: int
    tiling: str
    strip: int
    filters_outer: bool
    borrowed: bool

    @property
    def tile(self) -> int:
        return self.vectors * self.lanes

    @property
    def pitches(self) -> tuple[int, int, int, int]:
        g = self.geometry
        return (
            (g.channels * g.in_plane, g.inside[1] * g.inside[2], g.inside[2], 1)
            if self.borrowed
            else self.blocking.pitches
        )

    @property
    def channel_step(self) -> int:
        return self.geometry.in_plane if self.borrowed else phases(self.geometry) * self.blocking.plane

    @property
    def tiles(self) -> int:
        """Tiles of a full block."""
        b, d, h, w = self.blocking.block
        per = {"rows": b * d * h * -(-w // self.tile), "panel": -(-b * d * h * w // self.tile)}
        return per.get(self.tiling) or b * d * -(-((h - 1) * self.pitches[2] + w) // self.tile)

    @property
    def runs(self) -> int:
        """The most output rows a tile can touch."""
        return 1 if self.tiling == "rows" else self.tile // self.blocking.narrowest + 2

    @property
    def gathers(self) -> bool:
        """Borrowed memory ends where the tensor does, so a ragged tile is gathered there too."""
        return self.tiling == "panel" or self.borrowed


def rounded(size: int) -> int:
    return -(-size // 64) * 64


def table(name: str, values: list[int], kind: str = "int") -> str:
    return f"static const {kind} {name}[] = {{{', '.join(map(str, values or [0]))}}};"


def cut_code(symbol: str, plan: Plan) -> str:
    pb, pd, ph, _ = plan.pitches
    head = f"""/* A tile of output positions: `count` columns, the first at `band`; its pieces, each in one output row. */
typedef struct {{ long band; int count, runs, exact, unused; }} {symbol}_span;
typedef struct {{ long band; int first, count, n, d, h, w; }} {symbol}_run;

/* Cuts a block of nb * db * hb * wb positions into tiles; returns how many. */
static long {symbol}_cut({symbol}_span *restrict span, {symbol}_run *restrict run, long nb, long db, long hb, long wb)
{{
    long tiles = 0;
"""
    where = f"n * {pb}L + d * {pd}L + h * {ph}L"
    if plan.tiling == "rows":
        return (
            head
            + f"""    for (long n = 0; n < nb; n++) for (long d = 0; d < db; d++) for (long h = 0; h < hb; h++)
        for (long w = 0; w < wb; w += {plan.tile}, tiles++) {{
            const int count = (int)(wb - w < {plan.tile} ? wb - w : {plan.tile});
            const long at = {where} + w;
            span[tiles] = ({symbol}_span){{at, count, 1, 0, 0}};
            run[tiles * {plan.runs}] = ({symbol}_run){{at, 0, count, (int)n, (int)d, (int)h, (int)w}};
        }}
    return tiles;
}}
"""
        )
    if plan.tiling == "linear":
        return (
            head
            + f"""    const long plane = (hb - 1) * {ph}L + wb;
    for (long n = 0; n < nb; n++) for (long d = 0; d < db; d++)
        for (long j = 0; j < plane; j += {plan.tile}, tiles++) {{
            const long end = plane - j < {plan.tile} ? plane : j + {plan.tile}, base = n * {pb}L + d * {pd}L;
            int runs = 0;
            for (long at = j; at < end;) {{
                const long h = at / {ph}, w = at % {ph}, left = end - at;
                if (w < wb) {{
                    const int count = (int)(wb - w < left ? wb - w : left);
                    run[tiles * {plan.runs} + runs++] = ({symbol}_run){{base + at, (int)(at - j), count, (int)n, (int)d, (int)h, (int)w}};
                }}
                at = (h + 1) * {ph}L;
            }}
            span[tiles] = ({symbol}_span){{base + j, (int)(end - j), runs, 0, 0}};
        }}
    return tiles;
}}
"""
        )
    return (
        head
        + f"""    const long total = nb * db * hb * wb;
    for (long j = 0; j < total; j += {plan.tile}, tiles++) {{
        const long end = total - j < {plan.tile} ? total : j + {plan.tile};
        int runs = 0;
        for (long at = j; at < end;) {{
            const long w = at % wb, h = at / wb % hb, d = at / (wb * hb) % db, n = at / (wb * hb * db);
            const int count = (int)(wb - w < end - at ? wb - w : end - at);
            run[tiles * {plan.runs} + runs++] = ({symbol}_run){{{where} + w, (int)(at - j), count, (int)n, (int)d, (int)h, (int)w}};
            at += count;
        }}
        span[tiles] = ({symbol}_span){{run[tiles * {plan.runs}].band, (int)(end - j), runs, 0, 0}};
    }}
    return tiles;
}}
"""
    )


def decode(b: Blocking, groups: int) -> str:
    """C that turns `task` into a block (n0, g, d0, h0, w0; nb, db, hb, wb) and a part of the filters."""
    counts = b.counts
    return f"""        long rest = task;
        const long part = rest % {b.parts}; rest /= {b.parts};
        const long w0 = rest % {counts[3]} * {b.block[3]}; rest /= {counts[3]};
        const long h0 = rest % {counts[2]} * {b.block[2]}; rest /= {counts[2]};
        const long d0 = rest % {counts[1]} * {b.block[1]}; rest /= {counts[1]};
        const long g = rest % {groups}, n0 = rest / {groups} * {b.block[0]};
        const long nb = {b.extent[0]} - n0 < {b.block[0]} ? {b.extent[0]} - n0 : {b.block[0]};
        const long db = {b.extent[1]} - d0 < {b.block[1]} ? {b.extent[1]} - d0 : {b.block[1]};
        const long hb = {b.extent[2]} - h0 < {b.block[2]} ? {b.extent[2]} - h0 : {b.block[2]};
        const long wb = {b.extent[3]} - w0 < {b.block[3]} ? {b.extent[3]} - w0 : {b.block[3]};
"""
