"""Which algorithm makes a convolution, with which sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kerf.kernels.codegen.conv import amx, channels, depthwise, direct, guard, winograd
from kerf.kernels.codegen.conv.blocking import choose
from kerf.kernels.codegen.conv.epilogue import Epilogue, accepts
from kerf.kernels.codegen.conv.estimate import default_algorithm, ranked
from kerf.kernels.codegen.conv.filtering import filterings, named, tile_geometry
from kerf.kernels.codegen.conv.geometry import Geometry, geometry
from kerf.kernels.codegen.conv.micro import default_tile, even_rows, fits, lanes_of
from kerf.kernels.codegen.conv.tiles import Plan
from kerf.kernels.codegen.expr import ctype
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.ir import Conv, DType, Group
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import Chip


class ConvTemplate:
    """Convolutions in 1 to 3 dimensions, of every form, with what elementwise ops follow."""

    name = "conv"

    def accepts(self, group: Group) -> bool:
        return accepts(group)

    def decisions(self, group: Group, chip: Chip, threads: int) -> tuple[Decision, ...]:
        if _conv(group).channels_last:
            return channels.decisions(chip)
        g, element = geometry(group), _conv(group).out.dtype.compute.bytes
        rows, vectors = default_tile(g.group_filters, chip)
        budget = max(chip.l2_bytes // 2 >> 10, 64)
        band = (
            max(min(chip.l2_bytes * 2, chip.l3_bytes // 8) >> 10, budget)
            if _heavy(g, element, chip)
            else budget
        )
        registers = amx.possible(group, g, chip)
        algorithm, cuts = default_algorithm(g, chip, element, registers), ranked(g, chip, element)
        tiled = tile_geometry(g, cuts[0]) if algorithm == "winograd" else g
        return (
            Decision("algorithm", (*_algorithms(g), *(("amx",) if registers else ())), algorithm),
            *(
                (
                    Decision("amx_kb", amx.BUDGETS, _registers_kb(g, chip)),
                    Decision("amx_columns", amx.COLUMNS, 32),
                )
                if registers
                else ()
            ),
            *((Decision("filtering", tuple(map(str, cuts)), str(cuts[0])),) if cuts else ()),
            Decision("tiling", ("rows", "linear", "panel"), _tiling(tiled, lanes_of(chip, element))),
            Decision(
                "rows", tuple(sorted({rows, *(even_rows(g.group_filters, r) for r in range(1, 17))})), rows
            ),
            Decision("vectors", tuple(range(1, 9)), vectors),
            Decision("band_kb", tuple(sorted({band, 64, 128, 256, 512, 1024, 2048, 4096})), band),
            Decision("strip_kb", tuple(sorted({budget, 64, 128, 256, 512})), budget),
            Decision("filters_outer", (True, False), True),
            Decision("slide_rows", (1, 2, 3, 4, 6, 8), _slide(g, chip)),
            Decision("slide_vectors", (1, 2, 3, 4), 2),
            Decision("stream", (False, True), sum(b.bytes for b in group.outputs) > chip.l3_bytes),
        )

    def emit(
        self, group: Group, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> Emitted:
        g = geometry(group)
        if _conv(group).channels_last:
            return channels.emit(group, g, choices, chip, threads, symbol)
        if choices["algorithm"] == "winograd":
            return _guarded(group, g, choices, chip, threads, symbol)
        if choices["algorithm"] == "amx":
            return _registers(group, g, choices, chip, threads, symbol)
        if choices["algorithm"] == "depthwise":
            return depthwise.emit(group, _sliding(group, g, choices, chip, threads), threads, symbol)
        return _direct(group, g, choices, chip, threads, symbol)


def _direct(
    group: Group, g: Geometry, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
) -> Emitted:
    borrowed = g.is_pointwise and group.buffer(_conv(group).x).dtype is _conv(group).out.dtype.compute
    if borrowed and Epilogue(group, g).flat:
        g = _collapsed(g)
    return direct.emit(group, _plan(group, g, borrowed, choices, chip, threads), threads, symbol)


def _guarded(
    group: Group, g: Geometry, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
) -> Emitted:
    """Minimal filtering, and the direct sum for the inputs that it would round too much."""
    dtype = _conv(group).out.dtype
    cut = named(g, str(choices["filtering"]))
    plan = _plan(group, tile_geometry(g, cut), False, choices, chip, threads)
    fast = winograd.emit(group, winograd.Winograd(g, plan, cut), threads, f"{symbol}_fast")
    tiling = _tiling(g, lanes_of(chip, dtype.compute.bytes))
    safe = _direct(group, g, {**choices, "tiling": tiling}, chip, threads, f"{symbol}_safe")
    return guard.joined(group, fast, safe, ctype(dtype), symbol)


def _registers(
    group: Group, g: Geometry, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
) -> Emitted:
    """Matrix registers, and the direct sum for values that do not come apart."""
    columns, budget = int(choices["amx_columns"]), int(choices["amx_kb"]) << 10
    borrowed = g.is_pointwise and group.buffer(_conv(group).x).dtype is DType.F32 and Epilogue(group, g).flat
    here = _collapsed(g) if borrowed else g
    plan = Plan(
        geometry=here, blocking=choose(here, budget, 4, columns, threads, not borrowed), kind="float", element=4,
        lanes=amx.ROWS, rows=amx.SIDE, vectors=columns // amx.ROWS, tiling="linear", strip=1,
        filters_outer=bool(choices["filters_outer"]), borrowed=borrowed,
    )  # fmt: skip
    other = _direct(group, g, choices, chip, threads, f"{symbol}_vector")
    return amx.emit(group, plan, other, threads, symbol)


def _registers_kb(g: Geometry, chip: Chip) -> int:
    """Of the band: as much as stays near, more where each block reads weights from beyond the second cache."""
    return 2048 if _heavy(g, 4, chip) else 512 if g.is_pointwise else 256


def _conv(group: Group) -> Conv:
    op = group.ops[0]
    assert isinstance(op, Conv)
    return op


def _plan(
    group: Group, g: Geometry, borrowed: bool, choices: Mapping[str, Value], chip: Chip, threads: int
) -> Plan:
    dtype = _conv(group).out.dtype
    element, lanes = dtype.compute.bytes, lanes_of(chip, dtype.compute.bytes)
    rows, vectors, tiling = int(choices["rows"]), int(choices["vectors"]), str(choices["tiling"])
    while not fits(rows, vectors, chip) and vectors > 1:
        vectors -= 1
    tile = lanes * vectors
    blocking = choose(g, int(choices["band_kb"]) << 10, element, tile, threads, tiling == "panel")
    plan = Plan(
        geometry=g, blocking=blocking, kind=ctype(dtype), element=element, lanes=lanes, rows=rows, vectors=vectors,
        tiling=tiling, strip=1, filters_outer=bool(choices["filters_outer"]), borrowed=borrowed,
    )  # fmt: skip
    per_tile = g.group_channels * len(g.sites) * tile * element
    strip = max(1, (int(choices["strip_kb"]) << 10) // per_tile) if tiling == "panel" else plan.tiles
    return replace(plan, strip=min(strip, plan.tiles))


def _sliding(
    group: Group, g: Geometry, choices: Mapping[str, Value], chip: Chip, threads: int
) -> depthwise.Sliding:
    dtype = _conv(group).out.dtype
    element, lanes = dtype.compute.bytes, lanes_of(chip, dtype.compute.bytes)
    vectors = int(choices["slide_vectors"])
    blocking = choose(g, chip.l1_bytes // 2, element, lanes * vectors, threads, False)
    height = min(int(choices["slide_rows"]), blocking.block[2])
    blocking = depthwise.aligned(blocking, height)
    streamed = bool(choices["stream"]) and depthwise.streams(group, g, blocking)
    return depthwise.Sliding(g, blocking, ctype(dtype), element, lanes, height, vectors, streamed)


def _slide(g: Geometry, chip: Chip) -> int:
    """Rows that share loads: more for tall kernels, within the registers."""
    return 1 if g.kernel[1] == 1 or g.quotient[1] == 1 else 4 if chip.registers >= 32 else 2


def _algorithms(g: Geometry) -> tuple[str, ...]:
    return (
        "direct",
        *(("winograd",) if filterings(g) else ()),
        *(("depthwise",) if depthwise.legal(g) else ()),
    )


def _heavy(g: Geometry, element: int, chip: Chip) -> bool:
    """Weights that would be read again from beyond the second cache for every block: better fewer, larger blocks."""
    return g.filters * g.group_channels * g.taps * element > chip.l2_bytes // 2


def _collapsed(g: Geometry) -> Geometry:
    """A pointwise convolution over the plane as one long row."""
    row = (1, 1, g.in_plane)
    return replace(g, inside=row, outside=row)


def _tiling(g: Geometry, lanes: int) -> str:
    """The tiling that wastes least: columns beyond a row's end, padding columns between rows, or the gathering."""
    _, height, width = g.quotient
    if g.is_pointwise:
        return "panel" if g.group_filters > 32 else "linear"
    rows = width / (-(-width // lanes) * lanes)
    linear = width / (width + g.reach[2]) * height * width / (-(-height * width // lanes) * lanes)
    panel = 1 / (1 + 6 / g.group_filters)
    return max((rows, "rows"), (linear, "linear"), (panel, "panel"))[1]
