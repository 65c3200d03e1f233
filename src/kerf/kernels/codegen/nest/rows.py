"""The loops of one sweep along a trailing reduced axis: a row at a time, in a fixed number of lanes.

Each lane holds a partial result of its own. Their number is a constant, so that compilers keep them in registers: as several vectors,
whose updates do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from kerf.kernels.codegen.expr import CTYPE, ctype
from kerf.kernels.codegen.nest import reduction
from kerf.kernels.codegen.nest.cnames import affine_c, arg_update, indented, nested, simd
from kerf.kernels.codegen.nest.domain import Step
from kerf.kernels.codegen.nest.index import form
from kerf.kernels.codegen.nest.loops import point
from kerf.kernels.codegen.nest.sweep import Sweep
from kerf.kernels.codegen.nest.writer import Writer
from kerf.kernels.ir import Affine, Axis, loads

LINE = 64  # bytes of a cache line
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
    def partial(self) -> bool:
        """Do lanes hold only a part of the sum?"""
        return bool(self.folded or self.chunk)


def row_lines(w: Writer, sweep: Sweep) -> list[str]:
    reduces = [s for s in sweep.steps if s.reduces]
    row = _row(sweep, reduces, w.choices.lanes)
    body = _run(w, sweep, row)
    if not reduces:
        return nested(row.outer, body)
    body = [*_started(reduces, row.lanes), *nested(row.outer[row.folded :], body)]
    if not row.partial:
        return [*body, *(line for s in reduces for line in _folded(s, row.lanes))]
    body += [line for s in reduces for line in _added(s, row.lanes)]
    return [
        *map(_total, reduces),
        *nested(row.outer[: row.folded], _chunks(row, body)),
        *map(_result, reduces),
    ]


def _row(sweep: Sweep, reduces: Sequence[Step], lanes: int) -> Row:
    outer, inner = sweep.axes[:-1], sweep.axes[-1]
    lanes = min(lanes, inner.extent)
    if not any(s.kind == "sum" for s in reduces) or any(s.kind.startswith("arg") for s in reduces):
        return Row(outer, inner, lanes, 0, 0)
    deep = [prod(a.extent for a in sweep.axes[n:]) > DEPTH * lanes for n in range(len(sweep.axes))]
    return Row(outer, inner, lanes, sum(deep[:-1]), DEPTH * lanes if deep[-1] else 0)


def _chunks(row: Row, body: Sequence[str]) -> list[str]:
    if not row.chunk:
        return list(body)
    name, extent, size = row.inner.name, row.inner.extent, row.chunk
    end = f"const long {name}_e = {name}_b + {size} < {extent} ? {name}_b + {size} : {extent};"
    return [
        f"for (long {name}_b = 0; {name}_b < {extent}; {name}_b += {size}) {{",
        *indented([end, *body]),
        "}",
    ]


def _run(w: Writer, sweep: Sweep, row: Row) -> list[str]:
    """One run of the inner axis: single elements up to the first whole line of a streamed output, blocks of all lanes, the rest."""
    name, n, extent = row.inner.name, row.lanes, row.inner.extent
    streamed = _streamed(w, sweep, row)
    first, last = (f"{name}_b", f"{name}_e") if row.chunk else ("0", str(extent))
    out: list[str] = []
    if streamed:
        out += _head(w, sweep, row, streamed, first, last)
        first = f"{name}_h"
    whole = str(extent // n * n)
    if row.chunk or streamed:
        whole = f"{name}_w"
        out.append(f"const long {whole} = {first} + ({last} - {first}) / {n} * {n};")
    body = [*_prefetched(w, sweep, row), *_block(w, sweep, row, streamed)]
    out += [f"for (long {name}_0 = {first}; {name}_0 < {whole}; {name}_0 += {n}) {{", *indented(body), "}"]
    if row.chunk or streamed:
        return [*out, *_simd(w, sweep, row, f"{last} - {whole}", whole)]
    return [*out, *_simd(w, sweep, row, str(extent % n), whole)] if extent % n else out


def _simd(w: Writer, sweep: Sweep, row: Row, count: str, start: str, through: str = "") -> list[str]:
    """`count` neighbouring elements, each in its lane; the result called `through` goes into an array of that name."""
    name = row.inner.name
    lines = [f"const long {name} = {start} + l;", *point(w, sweep, _lane_update, {through})]
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


def _lane_update(s: Step, value: str) -> list[str]:
    lane = f"s_{s.out.name}[l]"
    if s.kind.startswith("arg"):
        return arg_update(s, value, f"x_{s.out.name}[l]", lane)
    return [f"{lane} = {reduction.combine(s.kind, s.out.dtype, lane, value)};"]


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
    name, head = s.out.name, f"for (long l = 0; l < {lanes}; l++)"
    if s.kind.startswith("arg"):
        return _best(s, head)
    fold = reduction.combine(s.kind, s.out.dtype, f"r_{name}", f"s_{name}[l]")
    return [
        f"{_plain(s)} r_{name} = {reduction.start(s.kind, s.out.dtype)};",
        simd([(s.kind, s.out.dtype, [f"r_{name}"])]),
        f"{head} r_{name} = {fold};",
    ]


def _best(s: Step, head: str) -> list[str]:
    """The best of the lanes' values, then the first place that has it: a NaN is best, and unequal to itself."""
    name, kind, dtype = s.out.name, s.kind.removeprefix("arg"), s.value.dtype
    x, y = f"x_{name}[l]", f"y_{name}"
    equal = f"({x} == {y}) | ({x} != {x})" if dtype.is_float else f"{x} == {y}"
    return [
        f"{ctype(dtype)} {y} = {reduction.start(kind, dtype)};",
        simd([(kind, dtype, [y])]),
        f"{head} {y} = {reduction.combine(kind, dtype, y, x)};",
        f"{_type(s)} r_{name} = {'INT64_MAX' if dtype.compute.bytes == 8 else 'INT32_MAX'};",
        f"#pragma omp simd reduction(min : r_{name})",
        f"{head} r_{name} = ({equal}) & (s_{name}[l] < r_{name}) ? s_{name}[l] : r_{name};",
    ]


# ---------------------------------------------------------------- streamed results


def _streamed(w: Writer, sweep: Sweep, row: Row) -> Step | None:
    """The result that is written past the caches, where rows have whole lines enough."""
    for s in sweep.steps:
        whole = row.inner.extent * s.out.dtype.bytes % LINE == 0 or row.inner.extent >= 8 * row.lanes
        lined = row.lanes * s.out.dtype.bytes % LINE == 0
        if (
            s.out.name in w.choices.stream & w.stored
            and not s.reduces
            and s.store.of(row.inner.name) == 1
            and whole
            and lined
        ):
            return s
    return None


def _head(w: Writer, sweep: Sweep, row: Row, s: Step, first: str, last: str) -> list[str]:
    name, ctype_ = row.inner.name, CTYPE[s.out.dtype]
    start = f"p_{s.out.name} + {affine_c(_placed(s.store, row, first))}"
    lines = [
        f"long {name}_h = {first} + (-(uintptr_t)({start}) % {LINE} / sizeof({ctype_}));",
        f"{name}_h = {name}_h < {last} ? {name}_h : {last};",
    ]
    return [*lines, *_simd(w, sweep, row, f"{name}_h - {first}", first)]


def _block(w: Writer, sweep: Sweep, row: Row, s: Step | None) -> list[str]:
    start = f"{row.inner.name}_0"
    if s is None:
        return _simd(w, sweep, row, str(row.lanes), start)
    q, to = f"q_{s.out.name}", f"p_{s.out.name} + {affine_c(_placed(s.store, row, start))}"
    return [
        f"{CTYPE[s.out.dtype]} {q}[{row.lanes}] __attribute__((aligned({LINE})));",
        *_simd(w, sweep, row, str(row.lanes), start, s.out.name),
        f"kf_stream_lines({to}, {q}, sizeof {q});",
    ]


def _placed(place: Affine, row: Row, start: str) -> Affine:
    """`place` with the inner axis at `start`."""
    return Affine(
        place.offset, {start if a == row.inner.name else a: c for a, c in place.coefficients.items()}
    )


# ---------------------------------------------------------------- prefetching


def _prefetched(w: Writer, sweep: Sweep, row: Row) -> list[str]:
    if sweep is not w.fetching:
        return []
    out = []
    for load, place in _rows_read(w, row).items():
        step = LINE // w.buffer(load).dtype.bytes
        at = affine_c(_placed(place, row, f"{row.inner.name}_0"))
        out.append(
            f"for (long l = 0; l < {row.lanes}; l += {step}) __builtin_prefetch(p_{load} + {at} + l, 0, 2);"
        )
    return out


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
