"""The nest template: any group of maps and reductions, as one C function of one or more phases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import prod

from kerf.kernels.codegen.expr import CTYPE
from kerf.kernels.codegen.nest import reduction
from kerf.kernels.codegen.nest.cnames import padded
from kerf.kernels.codegen.nest.common import shared
from kerf.kernels.codegen.nest.join import join, join_lines
from kerf.kernels.codegen.nest.moments import merged
from kerf.kernels.codegen.nest.phase import Phase, phases, sweeping
from kerf.kernels.codegen.nest.staged import declarations
from kerf.kernels.codegen.nest.sweep import cost, hoisted, needed, reusable
from kerf.kernels.codegen.nest.widen import widened
from kerf.kernels.codegen.nest.writer import Choices, Writer, transposed
from kerf.kernels.codegen.strength import cheaper
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.ir import Buffer, Group, Map, Reduce, loads
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import AHEAD, Chip

NARROW = 64  # elements: a block of whole cache lines, for any type
LINE = 64
CHEAP = 2.5  # vector instructions an element, per byte moved, up to which a map waits for memory
LONG = 40  # vector instructions of two costly functions
UNROLLS = (1, 2, 4, 8, 12)
LANES = (8, 16, 32, 64, 128)  # elements: from one vector of 512 bits to eight
BLOCKS = (16, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


class NestTemplate:
    name = "nest"

    def accepts(self, group: Group) -> bool:
        return bool(group.ops) and all(isinstance(op, Map | Reduce) for op in group.ops)

    def decisions(self, group: Group, chip: Chip, threads: int) -> tuple[Decision, ...]:
        found = _phases(group, True, chip.l1_bytes, chip.lanes)
        out: list[Decision] = []
        if found != _phases(group, False, chip.l1_bytes, chip.lanes):
            out.append(Decision("variance", ("one_sweep", "two_sweeps"), "one_sweep"))
        if any(_blocked(p) for p in found):
            out.append(Decision("block", BLOCKS, _first_block(group, found, chip, threads)))
        if any(_blocked(p) and not p.reduced and transposed(p) for p in found):
            out.append(Decision("tile", (0, 16, 32, 64), 32))
        if any(_blocked(p) and p.reduced for p in found):
            out.append(Decision("unroll", UNROLLS, _default_unroll(group, found, chip, threads)))
        if any(not _blocked(p) and p.axes for p in found):
            out.append(Decision("lanes", LANES, 2 * chip.lanes))
        again = [p for p in found if _again(p, group, chip)]
        if again:
            out.append(Decision("prefetch", (False, True), any(_idle(p, group, chip) for p in again)))
        if any(_long(p) for p in found):
            out.append(Decision("cut", (0, 20, 60), 20))
        if any(reusable(p, _stored(p, group)) for p in found):
            out.append(Decision("keep", (True, False), _row_bytes(group, found, chip) <= chip.l2_bytes // 2))
        if any(p.reduced for p in found) or len(found) > 1:
            out.append(Decision("reciprocal", (True, False), True))
        if group.bytes > chip.l2_bytes and any(map(_in_order, found)):
            out.append(Decision("ahead", AHEAD, chip.ahead_bytes(group.read, group.written)))
        if _streamable(group):
            out.append(Decision("stream", (False, True), _streams(group, found, chip)))
        return tuple(out)

    def emit(
        self, group: Group, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> Emitted:
        found = _phases(group, choices.get("variance") != "two_sweeps", chip.l1_bytes, chip.lanes)
        scalars = {b.name: f"v_{b.name}" for b in group.internal if b.size == 1}
        scalars |= {
            b.name: f"v_{b.name}" for b in group.outputs if b.size == 1 and b.dtype.compute is b.dtype
        }
        base, memory = _temporaries(group, found)
        lines: list[str] = []
        functions: list[str] = []
        need = base
        for p in found:
            whole = join(p, group.buffer, chip.lanes)
            if whole:
                names, how = _visible(scalars, p, found), _choices(p, group, choices)
                functions += declarations(symbol, whole.staged)
                lines += join_lines(whole, group.buffer, names, how, threads, symbol, chip.lanes)
                continue
            p = hoisted(p, _single(group) - p.made, bool(choices.get("reciprocal")))
            functions += declarations(symbol, p.staged)
            w = Writer(
                p,
                group.buffer,
                _stored(p, group),
                _visible(scalars, p, found),
                _choices(p, group, choices),
                threads,
                base,
                symbol,
            )
            lines += w.write()
            need = max(need, base + w.per_thread * threads)
        streams = any("kf_stream" in line for line in lines)
        if streams:
            lines.append("    kf_stream_end();")
        code = "\n".join(
            [
                *_declarations(found),
                *dict.fromkeys(functions),
                _signature(group, symbol),
                *memory,
                *lines,
                "    (void)scratch;",
                "    (void)threads;",
                "}",
            ]
        )
        return Emitted(
            code + "\n",
            symbol,
            need,
            (),
            _flops(group),
            float(group.bytes),
        )


@lru_cache(maxsize=256)
def _phases(group: Group, one_sweep: bool, near: int, lanes: int) -> tuple[Phase, ...]:
    """The group's phases; with `one_sweep`, variances in one sweep where a row is not near (`near` bytes) for a second one anyway."""
    found = [_long_loops(shared(p), group, lanes) for p in phases(group)]
    width = max((b.dtype.bytes for b in group.inputs), default=1)
    return tuple(merged(p) if one_sweep and (_blocked(p) or _far(p, width, near)) else p for p in found)


def _long_loops(p: Phase, group: Group, lanes: int) -> Phase:
    """The phase over one long axis in the place of narrow ones; what is put together of pieces becomes such loops as it is written."""
    return p if join(p, group.buffer, lanes) else widened(p, group.buffer, lanes)


def _far(p: Phase, width: int, near: int) -> bool:
    return p.depth * width > near and not any(s.kind.startswith("arg") for s in p.steps)


def _long(p: Phase) -> bool:
    """Does some point of K alone take more than one costly function?"""
    alone = [s for s in p.steps if p.level[s.out.name] == "row" and not s.over & p.reduced]
    return _blocked(p) and sum(cost(cheaper(s.value)) for s in alone) >= LONG


def _plain(p: Phase) -> bool:
    """Sums of cheap values: bound by memory once partial results stay in registers for several rows. Comparisons and long expressions
    gain nothing from rows done together."""
    partial = [s for s in p.steps if s.reduces and s.over & p.reduced]
    costs = [cost(s.value) for s in p.steps if sweeping(s, p.level[s.out.name], p.reduced)]
    return all(s.kind in ("sum", "prod", "sqdev") for s in partial) and max(costs, default=0) < LONG // 2


def _blocked(p: Phase) -> bool:
    return bool(p.axes) and p.axes[-1].name not in p.reduced


def _stored(p: Phase, group: Group) -> frozenset[str]:
    """Results of the phase that go to memory: outputs, and what a later phase reads (single values stay in variables)."""
    kept = {b.name for b in group.outputs}
    later = {
        load.buffer
        for op in group.ops
        if isinstance(op, Map | Reduce) and op.out.name not in p.made
        for load in loads(op.value)
    }
    return frozenset(
        s.out.name for s in p.steps if s.out.name in kept or (s.out.name in later and s.out.size > 1)
    )


def _in_order(p: Phase) -> bool:
    """Does memory go by in its order? Not in blocks of a kept axis, unless one holds all of it."""
    return not (_blocked(p) and p.reduced) or p.axes[-1].extent <= BLOCKS[-1]


def _again(p: Phase, group: Group, chip: Chip) -> bool:
    """Are rows (or tiles of columns) read more than once, which leaves memory idle meanwhile, and does the next one fit into L2 beside
    this one?"""
    width = max((b.dtype.bytes for b in group.inputs), default=1)
    least = p.depth * width * (2 * min(NARROW, p.axes[-1].extent) if _blocked(p) else 1)  # a tile may be kept
    several = p.rows > 1 and len(needed(p, _stored(p, group))) > 1
    return several and least <= chip.l2_bytes // 2


def _idle(p: Phase, group: Group, chip: Chip) -> bool:
    """Is there a sweep that leaves memory alone? Beside streaming, only rows near the core are fetched without loss."""
    width = max((b.dtype.bytes for b in group.inputs), default=1)
    near = not _blocked(p) and p.depth * width <= chip.l1_bytes
    return len(needed(p, _stored(p, group))) > 2 or not _streamable(group) or near


def _single(group: Group) -> frozenset[str]:
    return frozenset(b.name for b in (*group.inputs, *group.outputs, *group.internal) if b.size == 1)


def _visible(scalars: Mapping[str, str], p: Phase, found: Sequence[Phase]) -> dict[str, str]:
    """Single values that earlier phases left in variables of the function's scope."""
    scope = {
        s.out.name
        for q in found
        for s in q.steps
        if q is not p and (q.level[s.out.name] in ("before", "after", "global"))
    }
    return {name: c for name, c in scalars.items() if name in scope and name not in p.made}


def _temporaries(group: Group, found: Sequence[Phase]) -> tuple[int, list[str]]:
    """Internal buffers that pass from one phase to the next, at the start of the scratch space."""
    kept = {b.name for b in group.outputs}
    base, lines = 0, []
    for p in found:
        local = {s.out.name for s in p.steps if p.level[s.out.name] in ("before", "after", "global")}
        for name in sorted(_stored(p, group) - kept) + sorted(_single_rows(p, group, found) - kept - local):
            b = group.buffer(name)
            lines.append(
                f"    {CTYPE[b.dtype]} *restrict p_{name} = ({CTYPE[b.dtype]} *)(scratch + {base}L);"
            )
            base += padded(b.bytes)
    return base, lines


def _single_rows(p: Phase, group: Group, found: Sequence[Phase]) -> set[str]:
    later = {b for q in found if q is not p for s in q.steps for b in s.reads}
    return {
        s.out.name
        for s in p.steps
        if s.out.size == 1 and p.level[s.out.name] == "row" and s.out.name in later
    }


def _choices(p: Phase, group: Group, choices: Mapping[str, Value]) -> Choices:
    streamed = frozenset(b.name for b in _streamable(group)) if choices.get("stream") else frozenset()
    if _blocked(p) and (int(choices.get("block", 0)) < 64 or transposed(p)):
        streamed = frozenset()
    return Choices(
        block=int(choices.get("block", 1024)),
        lanes=int(choices.get("lanes", 64)),
        prefetch=bool(choices.get("prefetch", False)),
        unroll=int(choices.get("unroll", 1)),
        tile=int(choices.get("tile", 0)),
        keep=bool(choices.get("keep", False)),
        stream=streamed,
        cut=int(choices.get("cut", 0)),
        ahead=int(choices.get("ahead", 0)),
    )


def _streamable(group: Group) -> tuple[Buffer, ...]:
    """Outputs worth writing past the caches: long, and not read again by the group."""
    read = {load.buffer for op in group.ops if isinstance(op, Map | Reduce) for load in loads(op.value)}
    return tuple(b for b in group.outputs if b.name not in read and b.bytes >= 1 << 16)


def _streams(group: Group, found: Sequence[Phase], chip: Chip) -> bool:
    """Past the caches by default? Only what exceeds them; and of maps only those that wait for memory, where loads are not asked for
    ahead: streamed stores leave less time to compute beside them than plain ones, which take half as long again where nothing is
    computed."""
    moved = group.bytes
    maps = [op for op in group.ops if isinstance(op, Map)]
    work = sum(cost(cheaper(op.value)) * prod(a.extent for a in op.axes) for op in maps)
    fetched = chip.fetches_ahead and all(_lined(p, group) for p in found)
    return moved > chip.l3_bytes and (len(maps) < len(group.ops) or work < CHEAP * moved or fetched)


def _first_block(group: Group, found: Sequence[Phase], chip: Chip, threads: int) -> int:
    """The default, for streamed maps a few lines: the stores of a block should not wait for it, nor the next block for them. What is
    asked for ahead should not come in a burst either, but loops that are cut, or added up at their ends, need some length."""
    maps = all(isinstance(op, Map) for op in group.ops)
    lined = all(_lined(p, group) for p in found)
    fetched = chip.fetches_ahead and group.bytes > chip.l2_bytes
    if any(transposed(p) for p in found) or any(p.reduced for p in found if _blocked(p)):
        return _default_block(group, found, chip, threads)
    if maps and lined and _streamable(group) and _streams(group, found, chip):
        return 2 * NARROW if fetched and any(_long(p) for p in found) else NARROW
    if fetched and not _streamable(group):
        return 2 * NARROW
    return _default_block(group, found, chip, threads)


def _lined(p: Phase, group: Group) -> bool:
    """Does every run of the innermost axis begin a cache line if the first one does?"""
    width = min(b.dtype.bytes for b in group.outputs)
    return len(p.axes) == 1 or p.axes[-1].extent * width % LINE == 0


def _default_block(group: Group, found: Sequence[Phase], chip: Chip, threads: int) -> int:
    """Largest block whose tile of one point of K stays in half of L2 with what is kept of it, or in an eighth where the next is fetched
    meanwhile (where sweeps read it again); where even a narrow tile is larger than L2, or one sweep is enough, the longest runs through
    memory."""
    again = [p for p in found if _blocked(p) and p.reduced and max(p.sweep.values(), default=0) > 0]
    once = any(_blocked(p) and p.reduced for p in found)
    width = max(b.dtype.bytes for b in (*group.inputs, *group.outputs))
    depth = max([p.depth for p in again] or [0])
    limit = BLOCKS[-1] if once else 1024
    if depth and NARROW * width * depth <= chip.l2_bytes:
        fetches = any(_again(p, group, chip) and _idle(p, group, chip) for p in again)
        limit = min(2048, max(NARROW, chip.l2_bytes // (8 if fetches else 2) // (2 * width * depth)))
    if any(_blocked(p) and not p.reduced and transposed(p) for p in found):
        limit = 16
    columns = min(p.axes[-1].extent for p in found if _blocked(p))
    legal = [b for b in BLOCKS if b <= limit and b < 2 * columns] or [BLOCKS[0]]
    return _shared_out(legal, columns, min(p.rows for p in found if _blocked(p)), threads)


def _shared_out(legal: Sequence[int], columns: int, rows: int, threads: int) -> int:
    """The largest block that leaves every thread as much to do."""
    for block in reversed(legal):
        items = rows // columns * -(-columns // block)
        if threads == 1 or items >= 4 * threads or items % threads == 0 or block <= NARROW:
            return block
    return legal[0]


def _default_unroll(group: Group, found: Sequence[Phase], chip: Chip, threads: int) -> int:
    """One row at a time where a row and its partial results stay in L1 together; else, for cheap sums, as many as registers hold."""
    block = _default_block(group, found, chip, threads)
    columns = [p for p in found if _blocked(p) and p.reduced]
    bytes_ = max(min(block, p.axes[-1].extent) * _column_bytes(p, group) for p in columns)
    near = 4 * bytes_ <= 3 * chip.l1_bytes
    if any(s.kind == "sqdev" for p in columns for s in p.steps):
        return 8 if near else 12
    if any(max(p.sweep.values(), default=0) > 0 for p in columns):  # short runs anyway: the tile stays in L2
        return 8 if all(_plain(p) for p in found) else 1
    if near:
        return 1
    return 12 if all(_plain(p) for p in found) else 4


def _column_bytes(p: Phase, group: Group) -> int:
    """What one column of a row reads, and its partial results."""
    sums = [s for s in p.steps if s.reduces and s.over & p.reduced]
    read = {
        b for s in p.steps if sweeping(s, p.level[s.out.name], p.reduced) for b in s.reads if b not in p.made
    }
    return sum(group.buffer(b).dtype.bytes for b in read) + sum(s.value.dtype.compute.bytes for s in sums)


def _row_bytes(group: Group, found: Sequence[Phase], chip: Chip) -> int:
    """Scratch of one point of K for the values that may be kept."""
    out = 0
    for p in found:
        names = reusable(p, _stored(p, group))
        block = min(_default_block(group, found, chip, 1), p.axes[-1].extent) if _blocked(p) else 1
        out = max(out, sum(p.depth * block * p.step(n).out.dtype.compute.bytes for n in names))
    return out


def _signature(group: Group, symbol: str) -> str:
    params = [f"const {CTYPE[b.dtype]} *restrict p_{b.name}" for b in group.inputs]
    params += [f"{CTYPE[b.dtype]} *restrict p_{b.name}" for b in group.outputs]
    return f"static void {symbol}({', '.join([*params, 'char *restrict scratch', 'int threads'])})\n{{"


def _declarations(found: Iterable[Phase]) -> list[str]:
    lines = [
        reduction.declaration(s.kind, s.out.dtype)
        for p in found
        for s in p.steps
        if s.reduces and not s.kind.startswith("arg")
    ]
    unique = dict.fromkeys(line for line in lines if line)
    return [_once(line) for line in unique]


def _once(pragma: str) -> str:
    """One file may hold several kernels that declare the same reduction."""
    name, kind = pragma.split("(")[1].split(":")[0].strip(), pragma.split(":")[1].strip()
    guard = f"KF_REDUCTION_{name}_{kind}".upper()
    return f"#ifndef {guard}\n#define {guard}\n{pragma}\n#endif"


def _flops(group: Group) -> float:
    total = 0.0
    for op in group.ops:
        if isinstance(op, Map | Reduce):
            axes = (*op.axes, *(op.raxes if isinstance(op, Reduce) else ()))
            total += (cost(op.value) + isinstance(op, Reduce)) * prod(a.extent for a in axes)
    return total


TEMPLATE = NestTemplate()
