"""What may vary in a contraction, with defaults from the shape and the chip."""

from __future__ import annotations

from itertools import product
from math import ceil, gcd

from kerf.kernels.codegen.gemm import amx, pairs, stream
from kerf.kernels.codegen.gemm.analysis import Problem
from kerf.kernels.codegen.gemm.epilogue import can_stream
from kerf.kernels.codegen.gemm.packing import needs_transpose
from kerf.kernels.codegen.gemm.plan import can_be_direct, can_be_weights, heights, lanes_of, runs_along_rows
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import Chip

ROWS = (1, 2, 4, 6, 8, 10, 12, 14)
VECTORS = (1, 2, 3, 4, 6, 8)
DEPTHS = (32, 64, 128, 192, 256, 384, 512, 1024, 2048, 16384)
HEIGHTS = (28, 56, 112, 168, 240, 480, 960, 8192)
SHALLOW = 256  # sums below which the order of the stores counts more than the way of B
WAYS = 8  # of an L2 cache, at least
WIDTHS = (64, 128, 256, 512, 1024, 2048, 4096, 16384)


def decisions(p: Problem, chip: Chip, threads: int) -> tuple[Decision, ...]:
    lanes = lanes_of(p, chip)
    mr, nv = tile(p, chip, lanes)
    found = [
        *sizes("mr", ROWS, mr, p.m.extent),
        *sizes("nv", VECTORS, nv, ceil(p.n.extent / lanes)),
        *sizes("kc", DEPTHS, _depth(p, chip), p.k.extent),
        *sizes("mc", HEIGHTS, _height(p, chip), p.m.extent),
        *sizes("nc", WIDTHS, _width(p, chip, mr), p.n.extent),
        Decision("unroll", (1, 2, 4, 8), 4 if mr * nv <= 8 else 1),
        Decision("prefetch", (0, 4, 8, 16, 32), 16),
        Decision("order", ("columns", "rows"), _order(p, chip)),
    ]
    if can_be_direct(p, p.left, columns=False):
        found.append(Decision("pack_a", (True, False), _pack_a(p, chip, mr)))
    if can_be_direct(p, p.right, columns=True):
        found.append(Decision("pack_b", (True, False), _pack_b(p, chip, mr)))
    if can_be_weights(p, p.left) or can_be_weights(p, p.right):
        found.append(Decision("pack_weights", (True, False), True))
    if pairs.possible(p, chip):
        found.append(Decision("pairs", (True, False), pairs.fast(chip)))
    if can_stream(p, lanes):
        found.append(
            Decision("stream", (True, False), p.stored[0].bytes > 2 * chip.l3_bytes and p.k.extent <= 8)
        )
    algorithm = _algorithm(p, chip)
    registers = any(d.name == "algorithm" and d.default == "amx" for d in algorithm)
    found += _parallel(p, mr, nv * lanes, threads, registers)
    return (*algorithm, *found)


def _order(p: Problem, chip: Chip) -> str:
    """Rows of tiles write the result in the order of memory, which counts where it is large for few sums, and read all of B for each:
    it must stay in half of the L2 cache."""
    near = p.n.extent * p.k.extent * p.acc.bytes <= chip.l2_bytes // 2
    return "rows" if p.k.extent < 16 or (near and p.k.extent <= SHALLOW) else "columns"


def sizes(name: str, options: tuple[int, ...], default: int, extent: int) -> tuple[Decision, ...]:
    """A size from `options`, less those that mean the same because the extent is smaller; no decision where one is left."""
    enough = next((o for o in options if o >= extent), options[-1])
    kept = tuple(o for o in options if o <= enough)
    return (Decision(name, kept, min(default, enough)),) if len(kept) > 1 else ()


def _algorithm(p: Problem, chip: Chip) -> tuple[Decision, ...]:
    others = stream.algorithms(p, chip)
    registers = amx.possible(p, chip)
    options = ("panel", *others, *(("amx",) if registers else ()))
    if len(options) == 1:
        return ()
    resident = can_be_weights(p, p.left) or can_be_weights(p, p.right)
    default = stream.default(p, others, chip, resident) if others else "panel"
    if registers and default == "panel" and amx.faster(p):
        default = "amx"
    further = (*stream.decisions(p, chip, others), *(amx.decisions(p) if registers else ()))
    return (Decision("algorithm", options, default), *further)


def tile(p: Problem, chip: Chip, lanes: int) -> tuple[int, int]:
    """The register tile with the least work for this result: operations of the tiles that cover it, charged for loads
    where a tile has too few sums to keep the multipliers busy."""
    best = (float("inf"), 1, 1)
    for nv, mr in product(VECTORS, ROWS):
        # Wide tiles of few rows leave compilers no register to broadcast into.
        fits = mr * nv + nv + 1 <= chip.registers and (nv <= 4 or mr <= 2)
        if fits and (nv - 1) * lanes < p.n.extent and (mr <= p.m.extent or mr == 1):
            best = min(best, (_tile_cost(p.m.extent, ceil(p.n.extent / lanes), mr, nv), mr, nv))
    return best[1], best[2]


def _tile_cost(m: int, vectors: int, mr: int, nv: int) -> float:
    """Cycles per k of all tiles: one operation a cycle, but no tile is faster than its loads or than its latency."""

    def strip(rows: int, wide: int) -> float:
        return max(rows * wide, 0.6 * (rows + wide) + 1, 4.0) + 0.25

    def row(rows: int) -> float:
        return (vectors // nv) * strip(rows, nv) + (strip(rows, vectors % nv) if vectors % nv else 0)

    spill = 0.02 * m * vectors * ((1 / mr + 1 / nv) / 2 + (mr > 8))
    tall, low = heights(m, mr, even=True)
    return tall // mr * row(mr) + (-(-(m - tall) // low) * row(low) if tall < m else 0) + spill


def _nearest(options: tuple[int, ...], most: float) -> int:
    return max([o for o in options if o <= most], default=options[0])


def _depth(p: Problem, chip: Chip) -> int:
    """Deep blocks save passes over the result. A panel of B then outgrows the L1 cache but still streams from L2; where B is
    copied in each call for few rows, half the depth keeps the copy near."""
    if _in_place(p, chip):
        return _shallow(p, chip)
    deep = chip.l2_bytes // 128 // p.acc.bytes
    often = can_be_weights(p, p.right) or (p.k.extent >= deep and p.m.extent >= deep // 2)
    return _nearest(DEPTHS, deep if often else deep / 2)


def _in_place(p: Problem, chip: Chip) -> bool:
    """Are there so few rows that B, too large for the cache and not known before the call, is used too little to be copied?"""
    far = p.n.extent * p.k.extent * p.acc.bytes > chip.l2_bytes
    known = can_be_weights(p, p.right)
    wide = p.n.extent >= 64
    return far and wide and not known and p.m.extent <= 128 and can_be_direct(p, p.right, columns=True)


def _shallow(p: Problem, chip: Chip) -> int:
    """The k steps whose rows of B, read in place, stay near: many short rows, or as many as find ways in the L2 cache at their distance."""
    row = p.n.extent * p.acc.bytes
    if row <= 2048 and p.right.stride(p.k) == p.n.extent:
        return _nearest(DEPTHS, chip.l2_bytes / 4 / row)
    span = chip.l2_bytes // WAYS
    places = span // gcd(span, (p.right.stride(p.k) or 1) * p.acc.bytes)
    return _nearest(DEPTHS, min(WAYS // 2 * places, 64))


def _height(p: Problem, chip: Chip) -> int:
    """Rows that reuse a panel of B before it leaves L2; more than fit beside it, because A streams too."""
    return _nearest(HEIGHTS, chip.l2_bytes / 512 / p.acc.bytes)


def _width(p: Problem, chip: Chip, mr: int) -> int:
    """Turning B costs more where it lands far away; a narrow block is worth reading A again for, not copying it again."""
    copied = not can_be_direct(p, p.left, columns=False) or _pack_a(p, chip, mr)
    if needs_transpose(p) and not can_be_weights(p, p.right) and not copied:
        return _nearest(WIDTHS, chip.l2_bytes / 2 / (_depth(p, chip) * p.acc.bytes))
    return _nearest(WIDTHS, chip.l3_bytes / 4 / (512 * p.acc.bytes))


def _pack_a(p: Problem, chip: Chip, mr: int) -> bool:
    """A tile's rows may be read where they lie as long as each keeps a way of the L1 cache to itself."""
    if runs_along_rows(p.left):
        return p.n.extent >= 256 and p.m.extent * p.k.extent * p.acc.bytes > chip.l2_bytes
    if _in_place(p, chip):
        return p.n.extent >= 1024
    return mr > 8 and p.n.extent >= 256 and p.k.extent * p.acc.bytes % 1024 == 0


def _pack_b(p: Problem, chip: Chip, mr: int) -> bool:
    """Copying B costs about as much as one pass of row tiles over it."""
    return (
        not _in_place(p, chip)
        and p.m.extent >= 4 * mr
        and p.n.extent * p.acc.bytes > 512
        and p.n.extent * p.k.extent * p.acc.bytes > chip.l1_bytes
    )


def _balance(tiles: int, threads: int) -> float:
    """The share of the threads' time that is work, to the nearest 5 %, when tiles are dealt out evenly."""
    return round(20 * tiles / (threads * ceil(tiles / threads)))


def _parallel(p: Problem, mr: int, nr: int, threads: int, registers: bool) -> tuple[Decision, ...]:
    if threads == 1:
        return ()
    options: list[Value] = ["m", "n", "grid", "k", *(["batch"] if p.z.extent > 1 else [])]
    rows, columns = ceil(p.m.extent / mr), ceil(p.n.extent / nr)
    # Parts of n share nothing but A, which is rarely copied; parts of m would each copy B.
    best = max(("n", "m"), key=lambda axis: _balance(columns if axis == "n" else rows, threads))
    if p.z.extent >= threads and (p.z.extent % threads == 0 or p.z.extent >= 4 * threads):
        best = "batch"
    elif rows * columns < 2 * threads and p.k.extent >= 1024:
        best = "k"
    elif registers:
        best = amx.dealt_out(p, threads)
    return (Decision("parallel", tuple(options), best),)
