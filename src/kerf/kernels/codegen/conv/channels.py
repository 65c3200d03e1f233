"""One filter a channel where channels lie side by side: vectors run along channels, and several neighbouring outputs keep their sums in
registers, so that a tap's weights are read once for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kerf.kernels.codegen.conv.geometry import Geometry
from kerf.kernels.codegen.conv.micro import lanes_of, vector_types
from kerf.kernels.codegen.conv.tiles import rounded
from kerf.kernels.codegen.conv.weights import packed, packs_once
from kerf.kernels.codegen.tail import Tail, pointer, signature, split
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.ir import Conv, Group
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import Chip

SINGLE = 6  # sums at once where there is one column: as many as hide an addition's latency
_TAPS = "long d0, long d1, long h0, long h1, long j0, long j1"
COLUMNS = (1, 2, 4, 6, 8, 10)  # of a tile


def decisions(chip: Chip) -> tuple[Decision, ...]:
    wide = chip.registers >= 32
    return (Decision("columns", COLUMNS, 8 if wide else 4), Decision("vectors", (1, 2, 3), 2))


def emit(
    group: Group, g: Geometry, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
) -> Emitted:
    tail = split(group, Conv)
    assert tail is not None
    lanes = lanes_of(chip, 4)
    vectors = min(int(choices["vectors"]), max(1, g.channels // lanes))
    made = _Channels(group, tail, g, symbol, lanes, min(int(choices["columns"]), g.outside[2]), vectors)
    scratch = 0 if packs_once(group) else rounded(g.taps * g.channels * 4)
    moved = sum(b.bytes for b in (*group.inputs, *group.outputs))
    packs = packed(group, symbol, g.taps * g.channels, "float", 4)
    return Emitted(made.code(), symbol, scratch, packs, g.flops, float(moved))


@dataclass(frozen=True)
class _Channels:
    """Tiles of `columns` neighbouring outputs by `vectors` vectors of channels."""

    group: Group
    tail: Tail
    geometry: Geometry
    symbol: str
    lanes: int
    columns: int
    vectors: int

    @property
    def conv(self) -> Conv:
        assert isinstance(self.tail.main, Conv)
        return self.tail.main

    @property
    def single(self) -> int:
        """Vectors of a tile of one column: enough sums that do not wait for each other."""
        return max(1, min(SINGLE, self.geometry.channels // self.lanes))

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Columns and vectors of the tiles in use: whole ones, single columns, and both of single vectors, for the last channels."""
        return sorted({(self.columns, self.vectors), (self.columns, 1), (1, self.single), (1, 1)})

    def code(self) -> str:
        types = vector_types(self.symbol, "float", self.lanes, 4)
        tiles = [part(*shape) for part in (self._tile, self._block) for shape in self.shapes]
        parts = [types, self._pack(), *tiles, self._row(), self._kernel()]
        return "#include <omp.h>\n" + "\n".join(parts)

    def _pack(self) -> str:
        g = self.geometry
        return f"""/* Weights as [tap][channel]. */
static void {self.symbol}_pack(const void *const *sources, void *packed)
{{
    const float *w = (const float *)sources[0];
    for (long t = 0; t < {g.taps}; t++)
        for (long c = 0; c < {g.channels}; c++) ((float *)packed)[t * {g.channels} + c] = w[c * {g.taps} + t];
}}
"""

    def _tile(self, columns: int, vectors: int) -> str:
        """`columns` outputs next to each other, of the taps from (d0, h0, j0) to (d1, h1, j1), into `sums`."""
        g, s, c = self.geometry, self.symbol, self.geometry.channels
        cells = [(t, v) for t in range(columns) for v in range(vectors)]
        zero = ", ".join(f"s{t}_{v} = {{0}}" for t, v in cells)
        weights = ", ".join(f"k{v} = *(const {s}_any *)(k + {v * self.lanes})" for v in range(vectors))
        step = g.stride[2] * c
        adds = "\n".join(
            f"            s{t}_{v} += k{v} * *(const {s}_any *)(in + {t * step + v * self.lanes});"
            for t, v in cells
        )
        stores = "\n".join(
            f"    *({s}_vec *)(sums + {(t * vectors + v) * self.lanes}) = s{t}_{v};" for t, v in cells
        )
        plane, row = g.inside[1] * g.inside[2] * c, g.inside[2] * c
        return f"""static void {s}_tile{columns}x{vectors}(const float *restrict x, const float *restrict w, long d0, long d1, long h0, long h1, long j0, long j1, float *restrict sums)
{{
    {s}_vec {zero};
    for (long d = d0; d < d1; d++)
    for (long h = h0; h < h1; h++) {{
        const float *in = x + d * {g.dilation[0] * plane}L + h * {g.dilation[1] * row}L + j0 * {g.dilation[2] * c}L;
        const float *k = w + ((d * {g.kernel[1]} + h) * {g.kernel[2]} + j0) * {c}L;
        for (long j = j0; j < j1; j++, in += {g.dilation[2] * c}, k += {c}) {{
            const {s}_vec {weights};
{adds}
        }}
    }}
{stores}
}}
"""

    def _block(self, columns: int, vectors: int) -> str:
        """`columns` neighbouring outputs from `at` on, of `vectors` vectors of channels from `c0` on."""
        g, s, head = self.geometry, self.symbol, self._buffers[0]
        wide = vectors * self.lanes
        bias = f" + {pointer(self.conv.bias)}[c]" if self.conv.bias else ""
        at = f"(((n * {g.outside[0]} + d) * {g.outside[1]} + h) * {g.outside[2]} + w) * {g.channels}L + c"
        position = ["n", *["d", "h", "w"][3 - (len(self.conv.out.shape) - 2) :], "c"]
        lines = "\n".join(self.tail.lines(f"(sums[i * {wide} + l]{bias})", position, at, " " * 12))
        return f"""static inline __attribute__((always_inline)) void {s}_block{columns}x{vectors}({head}, const float *x, const float *weights, long n, long d, long h, long at, long c0, {_TAPS})
{{
    float sums[{columns * wide}] __attribute__((aligned(64)));
    {s}_tile{columns}x{vectors}(x, weights, d0, d1, h0, h1, j0, j1, sums);
    for (long i = 0; i < {columns}; i++) {{
        const long w = at + i;
        #pragma omp simd
        for (long l = 0; l < {wide}; l++) {{
            const long c = c0 + l;
{lines}
        }}
    }}
    (void)n; (void)d; (void)h;
}}
"""

    def _row(self) -> str:
        """A row of outputs, all channels of some neighbours after each other: memory goes by in its order."""
        g, s, (head, names) = self.geometry, self.symbol, self._buffers
        (low, high), c, dilation = _inside(g), g.channels, g.dilation[2]
        call = f"({names}, x + at * {g.stride[2] * c}L + c, weights + c, n, d, h, at, c, d0, d1, h0, h1, j0, j1);"
        return f"""static void {s}_row({head}, const float *x, const float *weights, long n, long d, long h, long d0, long d1, long h0, long h1)
{{
    long at = 0;
    while (at < {g.outside[2]}) {{
        const int whole = at >= {low} && at < {high} && {high - low} >= {self.columns};
        if (whole && at + {self.columns} > {high}) at = {high - self.columns}; // some again, with the last
        const long left = {g.padding[2]} - at * {g.stride[2]}, right = {g.inside[2]} + left;
        const long j0 = whole || left <= 0 ? 0 : (left + {dilation - 1}) / {dilation};
        const long j1 = whole || right >= {(g.kernel[2] - 1) * dilation + 1} ? {g.kernel[2]} : (right + {dilation - 1}) / {dilation};
        if (whole) {{
{self._channels(self.columns, self.vectors, call)}
            at += {self.columns};
        }} else {{
{self._channels(1, self.single, call)}
            at++;
        }}
    }}
}}
"""

    def _channels(self, columns: int, vectors: int, call: str) -> str:
        """All channels of some columns; the last vector may hold some of the one before again."""
        c, wide, name = self.geometry.channels, vectors * self.lanes, f"{self.symbol}_block{columns}"
        return f"""            long c = 0;
            for (; c + {wide} <= {c}; c += {wide}) {name}x{vectors}{call}
            for (; c < {c}; c += {self.lanes}) {{
                if (c + {self.lanes} > {c}) c = {c - self.lanes};
                {name}x1{call}
            }}"""

    @property
    def _buffers(self) -> tuple[str, str]:
        """The kernel's parameters as a declaration, and as arguments."""
        head = (
            signature(self.group, "", {self.conv.weight: "float"}).partition("(")[2].rpartition(", char")[0]
        )
        return head, ", ".join(pointer(b.name) for b in (*self.group.inputs, *self.group.outputs))

    def _kernel(self) -> str:
        g, s, names = self.geometry, self.symbol, self._buffers[1]
        c, once = g.channels, packs_once(self.group)
        weights = pointer(self.conv.weight)
        pack = "" if once else f"    {s}_pack((const void *const[]){{{weights}}}, scratch);\n"
        source = weights if once else "(const float *)scratch"
        origin = f"(((n * {g.inside[0]} + id) * {g.inside[1]} + ih) * {g.inside[2]} - {g.padding[2]}) * {c}L"
        ranges = "\n".join(_range(n, i, g) for n, i in (("d", 0), ("h", 1)))
        rows = g.batch * g.outside[0] * g.outside[1]
        return f"""/* {g.batch} x {c} channels, last: kernel {g.kernel} of one filter a channel. */
{signature(self.group, s, {self.conv.weight: "float"} if once else None)}
{{
    (void)scratch;
    (void)threads;
{pack}    const float *weights = {source};
    #pragma omp parallel for num_threads(threads) schedule(static)
    for (long item = 0; item < {rows}; item++) {{
        const long n = item / {g.outside[0] * g.outside[1]}, d = item / {g.outside[1]} % {g.outside[0]}, h = item % {g.outside[1]};
{ranges}
        const float *x = {pointer(self.conv.x)} + {origin};
        {s}_row({names}, x, weights, n, d, h, d0, d1, h0, h1);
    }}
}}
"""


def _inside(g: Geometry) -> tuple[int, int]:
    """The columns of which every tap is inside of the input."""
    low = -(-g.padding[2] // g.stride[2])
    high = (g.inside[2] - 1 + g.padding[2] - (g.kernel[2] - 1) * g.dilation[2]) // g.stride[2] + 1
    return low, min(high, g.outside[2])


def _range(name: str, i: int, g: Geometry) -> str:
    """C of the taps NAME0 .. NAME1 along a dimension that are inside of the input, and of where the first tap of all lies."""
    k, dilation, size = g.kernel[i], g.dilation[i], g.inside[i]
    return f"""        const long i{name} = {name} * {g.stride[i]} - {g.padding[i]};
        const long {name}0 = i{name} < 0 ? (-i{name} + {dilation - 1}) / {dilation} : 0;
        const long {name}1 = {size} - i{name} < {(k - 1) * dilation + 1} ? ({size} - i{name} + {dilation - 1}) / {dilation} : {k};"""
