"""The loops of one sweep along a trailing reduced axis: a row at a time, in a fixed number of lanes.

Each lane holds a partial result of its own. Their number is a constant, so that compilers keep them in registers: as several vectors,
whose updates do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod

from kerf.kernels.codegen.blocks import balanced
from kerf.kernels.codegen.expr import CTYPE, ctype
from kerf.kernels.codegen.nest import reduction
from kerf.kernels.codegen.nest.ahead import following, half, onward, placed
from kerf.kernels.codegen.nest.cnames import LINE, affine_c, arg_update, indented, nested, simd
from kerf.kernels.codegen.nest.domain import Step
from kerf.kernels.codegen.nest.index import form
from kerf.kernels.codegen.nest.loops import point
from kerf.kernels.codegen.nest.sweep import HEAVY, Sweep
from kerf.kernels.codegen.nest.writer import Writer
from kerf.kernels.ir import Affine, Apply, Axis, DType, loads, walk

PIECE = 24576  # bytes of elements whose mean and deviations are found together: they stay in L1 with what is fetched meanwhile
DEPTH = 512  # values that a lane adds up before it goes into a wider total


@dataclass(frozen=True)
class Row:
    """`outer` loops around runs of `inner`; the first `folded` of them, and a loop over chunks of `chunk` elements of `inner` (0: none),
    lie outside of the lanes' life."""

    outer: tuple[Axis, ...]
    inner: Axis
    lanes: int
    folded: int
    chunk: int

    @property
    def whole(self) -> int:
        """Elements of `inner` in blocks of all lanes."""
        return self.inner.extent // self.lanes * self.lanes


def row_lines(w: Writer, sweep: Sweep) -> list[str]:
    reduces = [s for s in sweep.steps if s.reduces]
    row = _row(sweep, reduces, w.choices.lanes)
    if any(s.kind == "sqdev" for s in reduces):
        return _moments(w, sweep, row, reduces)
    if not reduces:
        return nested(row.outer, _run(w, sweep, row))
    if row.chunk:
        body = [*_chunks(w, sweep, row, reduces), *_partial(reduces, row, _rest(w, sweep, row))]
    else:
        body = nested(
            row.outer[row.folded :], [*_blocks(w, sweep, row, "0", str(row.whole)), *_rest(w, sweep, row)]
        )
        if not row.folded:
            return [
                *_started(reduces, row.lanes),
                *body,
                *(line for s in reduces for line in _folded(s, row.lanes)),
            ]
        body = _partial(reduces, row, body)
    return [*map(_total, reduces), *nested(row.outer[: row.folded], body), *map(_result, reduces)]


def _row(sweep: Sweep, reduces: Sequence[Step], lanes: int) -> Row:
    outer, inner = sweep.axes[:-1], sweep.axes[-1]
    lanes = min(lanes, 1 << inner.extent.bit_length() - 1)
    if not any(s.kind == "sum" for s in reduces) or any(s.kind.startswith("arg") for s in reduces):
        return Row(outer, inner, lanes, 0, 0)
    deep = [prod(a.extent for a in sweep.axes[n:]) > DEPTH * lanes for n in range(len(sweep.axes))]
    return Row(outer, inner, lanes, sum(deep[:-1]), DEPTH * lanes if deep[-1] else 0)


def _chunks(w: Writer, sweep: Sweep, row: Row, reduces: Sequence[Step]) -> list[str]:
    name, size = row.inner.name, row.chunk
    end = f"const long {name}_e = {name}_b + {size} < {row.whole} ? {name}_b + {size} : {row.whole};"
    body = _partial(reduces, row, _blocks(w, sweep, row, f"{name}_b", f"{name}_e"))
    return [
        f"for (long {name}_b = 0; {name}_b < {row.whole}; {name}_b += {size}) {{",
        *indented([end, *body]),
        "}",
    ]


def _blocks(
    w: Writer, sweep: Sweep, row: Row, first: str, last: str, fetch: Sequence[str] | None = None
) -> list[str]:
    """Blocks of all lanes; each begins with `fetch`, or with what the sweep has to fetch."""
    name = row.inner.name
    fetch = _prefetched(w, sweep, row) if fetch is None else fetch
    body = [*fetch, *_simd(w, sweep, row, str(row.lanes), f"{name}_0")]
    return [
        f"for (long {name}_0 = {first}; {name}_0 < {last}; {name}_0 += {row.lanes}) {{",
        *indented(body),
        "}",
    ]


def _rest(w: Writer, sweep: Sweep, row: Row) -> list[str]:
    """What is left after whole blocks: the last block of all lanes again, of which sums take only what is new."""
    old = row.lanes - (row.inner.extent - row.whole)
    if old == row.lanes:
        return []
    return _simd(w, sweep, row, str(row.lanes), str(row.inner.extent - row.lanes), old=old)


def _run(w: Writer, sweep: Sweep, row: Row) -> list[str]:
    """A sweep that only writes: where the result is streamed, single elements up to its first whole line and after its last."""
    name, n, extent = row.inner.name, row.lanes, row.inner.extent
    s = _streamed(w, sweep, row)
    if s is None:
        return [*_blocks(w, sweep, row, "0", str(row.whole)), *_rest(w, sweep, row)]
    head = f"-(uintptr_t)(p_{s.out.name} + {affine_c(placed(s.store, row.inner.name, '0'))}) % {LINE}"
    first, last = f"{name}_h", f"{name}_w"
    body = [*_prefetched(w, sweep, row), *_streamed_block(w, sweep, row, s)]
    return [
        f"const long {first} = {head} / sizeof *p_{s.out.name}, {last} = {first} + ({extent} - {first}) / {n} * {n};",
        *_simd(w, sweep, row, first, "0"),
        f"for (long {name}_0 = {first}; {name}_0 < {last}; {name}_0 += {n}) {{",
        *indented(body),
        "}",
        *_simd(w, sweep, row, f"{extent} - {last}", last),
    ]


def _simd(
    w: Writer, sweep: Sweep, row: Row, count: str, start: str, through: str = "", old: int = 0
) -> list[str]:
    """`count` neighbouring elements, each in its lane; the result called `through` goes into an array of that name. Sums have
    the first `old` elements already."""
    name = row.inner.name
    lines = [f"const long {name} = {start} + l;", *point(w, sweep, _Update(old), {through})]
    return ["#pragma omp simd", f"for (long l = 0; l < {count}; l++) {{", *indented(lines), "}"]


# ---------------------------------------------------------------- lanes


def _started(reduces: Sequence[Step], lanes: int) -> list[str]:
    out, start = [], []
    for s in reduces:
        name = s.out.name
        if s.kind.startswith("arg"):
            out.append(f"{ctype(s.value.dtype)} x_{name}[{lanes}] __attribute__((aligned({LINE})));")
            start += [f"x_{name}[l] = {reduction.start(s.kind, s.value.dtype)};", f"s_{name}[l] = 0;"]
        else:
            start.append(f"s_{name}[l] = {reduction.start(s.kind, s.out.dtype)};")
        out.append(f"{_type(s)} s_{name}[{lanes}] __attribute__((aligned({LINE})));")
    return [*out, f"for (long l = 0; l < {lanes}; l++) {{", *indented(start), "}"]


def _type(s: Step) -> str:
    return reduction.position_type(s.value.dtype) if s.kind.startswith("arg") else _plain(s)


def _plain(s: Step) -> str:
    return reduction.accumulator(s.kind, s.out.dtype)


@dataclass(frozen=True)
class _Update:
    """Takes a value into its lane. What repeats does no harm but in sums: they leave out the first `old` lanes."""

    old: int

    def __call__(self, s: Step, value: str) -> list[str]:
        lane = f"s_{s.out.name}[l]"
        if s.kind.startswith("arg"):
            return arg_update(s, value, f"x_{s.out.name}[l]", lane)
        kind = s.kind
        if kind == "sqdev":
            kind, value = "sum", f"({value} - c_{s.out.name}) * ({value} - c_{s.out.name})"
        if self.old and kind in ("sum", "prod"):
            value = f"(l < {self.old} ? {reduction.start(kind, s.out.dtype)} : {value})"
        return [f"{lane} = {reduction.combine(kind, s.out.dtype, lane, value)};"]


def _partial(reduces: Sequence[Step], row: Row, body: Sequence[str]) -> list[str]:
    """A part of the reduction in lanes of its own, then taken into the total."""
    if not body:
        return []
    added = [line for s in reduces for line in _added(s, row.lanes)]
    return ["{", *indented([*_started(reduces, row.lanes), *body, *added]), "}"]


def _total(s: Step) -> str:
    return f"{reduction.wide(s.kind, s.out.dtype)} a_{s.out.name} = {reduction.start(s.kind, s.out.dtype)};"


def _result(s: Step) -> str:
    return f"const {_plain(s)} r_{s.out.name} = a_{s.out.name};"


def _added(s: Step, lanes: int) -> list[str]:
    """What the lanes hold goes into the total."""
    total, part = f"a_{s.out.name}", f"r_{s.out.name}"
    added = f"{total} = {reduction.combine(s.kind, s.out.dtype, total, part)};"
    return ["{", *indented([*_folded(s, lanes), added]), "}"]


def _folded(s: Step, lanes: int) -> list[str]:
    name = s.out.name
    if s.kind.startswith("arg"):
        return _best(s, lanes)
    return _fold(f"r_{name}", s.kind, s.out.dtype, f"s_{name}[l]", lanes)


def _fold(total: str, kind: str, dtype: DType, lane: str, lanes: int) -> list[str]:
    """Extremes and NaN apart: each is a reduction that compilers do within registers."""
    head = f"for (long l = 0; l < {lanes}; l++)"
    start = f"{reduction.accumulator(kind, dtype)} {total} = {reduction.start(kind, dtype)};"
    if kind not in ("max", "min") or not dtype.is_float:
        update = f"{head} {total} = {reduction.combine(kind, dtype, total, lane)};"
        return [start, simd([(kind, dtype, [total])]), update]
    better = f"{lane} {'>' if kind == 'max' else '<'} {total}"
    return [
        start,
        f"int nan_{total} = 0;",
        f"#pragma omp simd reduction({kind} : {total}) reduction(| : nan_{total})",
        f"{head} {{",
        f"    {total} = {better} ? {lane} : {total};",
        f"    nan_{total} |= {lane} != {lane};",
        "}",
        f"{total} = nan_{total} ? NAN : {total};",
    ]


def _best(s: Step, lanes: int) -> list[str]:
    """The best of the lanes' values, then the first place that has it: a NaN is best, and unequal to itself."""
    name, dtype = s.out.name, s.value.dtype
    x, y = f"x_{name}[l]", f"y_{name}"
    equal = f"(({x} == {y}) | ({x} != {x}))" if dtype.is_float else f"({x} == {y})"
    return [
        *_fold(y, s.kind.removeprefix("arg"), dtype, x, lanes),
        f"{_type(s)} r_{name} = INT{64 if dtype.compute.bytes == 8 else 32}_MAX;",
        f"#pragma omp simd reduction(min : r_{name})",
        f"for (long l = 0; l < {lanes}; l++) r_{name} = {equal} & (s_{name}[l] < r_{name}) ? s_{name}[l] : r_{name};",
    ]


# ---------------------------------------------------------------- squared deviations


def _moments(w: Writer, sweep: Sweep, row: Row, reduces: Sequence[Step]) -> list[str]:
    """Mean and squared deviations of a piece that stays in the nearest cache, joined with those of the pieces before (T. F. Chan,
    G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979)."""
    name, whole, rest = row.inner.name, row.whole, row.inner.extent - row.whole
    size = balanced(whole, PIECE // max(s.out.dtype.bytes for s in reduces), row.lanes)

    def blocks(part: Sweep, offset: str = "") -> list[str]:
        fetch = half(w, sweep.steps, name, f"{name}_0 - {name}_b{offset}", row.lanes)
        return _blocks(w, part, row, f"{name}_b", f"{name}_e", fetch)

    end = f"const long {name}_e = {name}_b + {size} < {whole} ? {name}_b + {size} : {whole};"
    around = (*w.phase.kept, *row.outer)[-1:]
    next_ = following(w, sweep.steps, name, around[0] if around else None, f"{name}_e", whole)
    again = partial(blocks, offset=f" + {name}_e - {name}_b")
    body = [end, *next_, *_piece(sweep, row, blocks, again, f"({name}_e - {name}_b)")]
    head = f"for (long {name}_b = 0; {name}_b < {whole}; {name}_b += {size}) {{"
    body = [head, *indented(body), "}"]
    if rest:
        last = partial(_rest, w, row=row)
        body += ["{", *indented(_piece(sweep, row, last, last, str(rest))), "}"]
    totals = [_as_sum(s) for s in reduces]
    start = [f"double m_{s.out.name} = 0, n_{s.out.name} = 0;" for s in reduces if s.kind == "sqdev"]
    return [*map(_total, totals), *start, *nested(row.outer, body), *map(_result, totals)]


def _piece(
    sweep: Sweep, row: Row, run: Callable[[Sweep], list[str]], again: Callable[[Sweep], list[str]], count: str
) -> list[str]:
    """One piece of `count` elements: all sums, then, run `again`, squared deviations from its own mean."""
    squares = [s for s in sweep.steps if s.kind == "sqdev"]
    first = replace(sweep, steps=tuple(map(_as_sum, sweep.steps)))
    out = [*_started([s for s in first.steps if s.reduces], row.lanes), *run(first)]
    for s in sweep.steps:
        if s.kind == "sqdev":
            out += [
                *_folded(_as_sum(s), row.lanes),
                f"const {_plain(s)} c_{s.out.name} = r_{s.out.name} / {count};",
            ]
        elif s.reduces:
            out += _added(s, row.lanes)
    second = [*_started([_as_sum(s) for s in squares], row.lanes), *again(_only(sweep, squares))]
    second += [line for s in squares for line in (*_folded(_as_sum(s), row.lanes), *_joined(s, count))]
    return [*out, "{", *indented(second), "}"]


def _as_sum(s: Step) -> Step:
    return replace(s, kind="sum") if s.kind == "sqdev" else s


def _only(sweep: Sweep, steps: Sequence[Step]) -> Sweep:
    """The sweep with these steps and what they read."""
    names, queue = set[str](), list(steps)
    while queue:
        s = queue.pop()
        names.add(s.out.name)
        queue += [t for t in sweep.steps if t.out.name in s.reads and t.out.name not in names]
    return replace(sweep, steps=tuple(s for s in sweep.steps if s.out.name in names), kept=frozenset())


def _joined(s: Step, count: str) -> list[str]:
    name = s.out.name
    return [
        f"const double off_{name} = c_{name} - m_{name}, part_{name} = {count} / (n_{name} + {count});",
        f"a_{name} += r_{name} + off_{name} * off_{name} * n_{name} * part_{name};",
        f"m_{name} += off_{name} * part_{name};",
        f"n_{name} += {count};",
    ]


# ---------------------------------------------------------------- streamed results


def _streamed(w: Writer, sweep: Sweep, row: Row) -> Step | None:
    """The result that is written past the caches, where rows are long enough for it."""
    for s in sweep.steps:
        bytes_, along = s.out.dtype.bytes, s.store.of(row.inner.name) == 1
        long = row.inner.extent * bytes_ % LINE == 0 or row.inner.extent >= 8 * row.lanes
        if along and long and row.lanes * bytes_ % LINE == 0 and s.out.name in w.choices.stream & w.stored:
            return s
    return None


def _streamed_block(w: Writer, sweep: Sweep, row: Row, s: Step) -> list[str]:
    q, start = f"q_{s.out.name}", f"{row.inner.name}_0"
    to = f"p_{s.out.name} + {affine_c(placed(s.store, row.inner.name, start))}"
    return [
        f"{CTYPE[s.out.dtype]} {q}[{row.lanes}] __attribute__((aligned({LINE})));",
        *_simd(w, sweep, row, str(row.lanes), start, s.out.name),
        f"kf_stream_lines({to}, {q}, sizeof {q});",
    ]


# ---------------------------------------------------------------- prefetching


def _prefetched(w: Writer, sweep: Sweep, row: Row) -> list[str]:
    if sweep is not w.fetching:
        fresh = _fresh(w, sweep)
        return onward(w, sweep.steps, row.inner.name, f"{row.inner.name}_0", row.lanes) if fresh else []
    out = []
    loops = {a.name for a in (*w.phase.kept, *sweep.axes)}  # a sweep over kept values may have merged others
    rows = {b: place for b, place in _rows_read(w, row).items() if loops >= set(place.coefficients)}
    for load, place in rows.items():
        step = LINE // w.buffer(load).dtype.bytes
        at = affine_c(placed(place, row.inner.name, f"{row.inner.name}_0"))
        out.append(
            f"for (long l = 0; l < {row.lanes}; l += {step}) __builtin_prefetch(p_{load} + {at} + l, 0, 2);"
        )
    return out


def _fresh(w: Writer, sweep: Sweep) -> bool:
    """Is it (the sums of) the first sweep, which finds its row in memory? Not where another sweep has fetched it meanwhile, beside costly
    arithmetic: fetched beside cheap sums, much of it is still on its way."""
    if w.fetching and any(
        e.op in HEAVY for s in w.fetching.steps for e in walk(s.value) if isinstance(e, Apply)
    ):
        return False
    first = {s.out.name for s in w.found[0].steps}
    return not any(s.kind == "sqdev" for s in sweep.steps) and {s.out.name for s in sweep.steps} <= first


def _rows_read(w: Writer, row: Row) -> dict[str, Affine]:
    """Buffers that are read row by row, with the next row's place in them."""
    found = {}
    last = w.phase.kept[-1].name
    for s in (step for sweep in w.found for step in sweep.steps):
        for load in loads(s.value):
            place = form(load.index[0], {}) if load.buffer not in w.phase.made else None
            if place and place.of(row.inner.name) == 1 and place.of(last):
                found[load.buffer] = Affine(place.offset + place.of(last), place.coefficients)
    return found
