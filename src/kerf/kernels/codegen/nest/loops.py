"""The loops of one sweep over R: by blocks of the kept axis, or along a trailing reduced axis with several accumulators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from kerf.kernels.codegen.expr import CTYPE, bound, ctype, stored
from kerf.kernels.codegen.nest import reduction
from kerf.kernels.codegen.nest.cnames import Own, affine_c, simd
from kerf.kernels.codegen.nest.domain import Step
from kerf.kernels.codegen.nest.sweep import Sweep
from kerf.kernels.codegen.nest.writer import CHUNK, LANES, WIDE, Writer
from kerf.kernels.ir import Affine, Axis, DType

Update = Callable[[Step, str], list[str]]


def sweep_lines(w: Writer, sweep: Sweep) -> list[str]:
    if w.blocked:
        return _blocked(w, sweep)
    reduces = [s for s in sweep.steps if s.reduces]
    if any(s.kind.startswith("arg") for s in reduces):
        return _lanes(w, sweep, reduces)
    outer, inner = sweep.axes[:-1], sweep.axes[-1]
    if not reduces:
        return _nested(outer, _inner(w, sweep, inner, 1, lambda s, x: [], ""))
    if not outer:
        return _streams(w, sweep, reduces, inner)
    if inner.extent <= WIDE and prod(a.extent for a in outer) >= 4 and not _streamed(w, sweep, inner):
        return _wide(w, sweep, reduces, outer, inner)
    return _runs(w, sweep, reduces, outer, inner)


def point(w: Writer, sweep: Sweep, update: Update, streamed: set[str]) -> list[str]:
    """Statements for one element: every value once, in order; reductions through `update`; stores."""
    out: list[str] = []
    local: set[str] = set()
    for s in sweep.steps:
        name = s.out.name
        statements, result = bound(w.written(s.value), Own(), w.load(local, sweep), "", f"{name}_")
        out += statements
        if s.reduces:
            out += update(s, result)
            continue
        out.append(f"const {ctype(s.out.dtype)} v_{name} = {result};")
        local.add(name)
        if name in sweep.kept:
            out.append(f"k_{name}[{w.kept_index(sweep)}] = v_{name};")
        if name in w.stored:
            target = f"q_{name}[l]" if name in streamed else f"p_{name}[{affine_c(s.store)}]"
            out.append(f"{target} = {stored(f'v_{name}', s.out.dtype)};")
    return out


# ---------------------------------------------------------------- a kept innermost axis


def _blocked(w: Writer, sweep: Sweep) -> list[str]:
    reduces = [s for s in sweep.steps if s.reduces]
    streamed = _streamed(w, sweep, w.vector)
    names = {s.out.name for s in streamed}
    body = [f"const long {w.vector.name} = {w.vector_index};", *point(w, sweep, _array_update, names)]
    out = [
        f"{ctype(s.value.dtype)} x_{s.out.name}[{w.block}] __attribute__((aligned(64)));"
        for s in reduces
        if s.kind.startswith("arg")
    ]
    if reduces:
        out += [
            "#pragma omp simd",
            f"for (long l = 0; l < {w.count}; l++) {{",
            *_indented(_array_start(reduces)),
            "}",
        ]
    out += [f"{CTYPE[s.out.dtype]} q_{s.out.name}[{w.block}] __attribute__((aligned(64)));" for s in streamed]
    tail = [_stream_call(s, w.vector, f"{w.vector.name}_0" if w.splits else "0", w.count) for s in streamed]
    loop = ["#pragma omp simd", f"for (long l = 0; l < {w.count}; l++) {{", *_indented(body), "}", *tail]
    unroll = w.choices.unroll if sweep.axes and not streamed else 1
    if unroll == 1 or sweep.axes[-1].extent < 2 * unroll:
        return [*out, *_nested(sweep.axes, loop)]
    body = [f"const long {w.vector.name} = {w.vector_index};", *point(w, sweep, _local_update, names)]
    return [*out, *_nested(sweep.axes[:-1], _unrolled(w, sweep.axes[-1], reduces, body, unroll))]


def _unrolled(w: Writer, axis: Axis, reduces: Sequence[Step], body: Sequence[str], unroll: int) -> list[str]:
    """Several steps of `axis` in one loop over the block, so that partial results are loaded and stored less often."""
    many = axis.extent // unroll * unroll

    def loop(steps: Sequence[str]) -> list[str]:
        inside = [*_taken(reduces), *steps, *_put(reduces)]
        return ["#pragma omp simd", f"for (long l = 0; l < {w.count}; l++) {{", *_indented(inside), "}"]

    steps = [
        line
        for u in range(unroll)
        for line in ("{", f"    const long {axis.name} = {axis.name}_0 + {u};", *_indented(body), "}")
    ]
    out = [
        f"for (long {axis.name}_0 = 0; {axis.name}_0 < {many}; {axis.name}_0 += {unroll}) {{",
        *_indented(loop(steps)),
        "}",
    ]
    if many < axis.extent:
        head = f"for (long {axis.name} = {many}; {axis.name} < {axis.extent}; {axis.name}++) {{"
        out += [head, *_indented(loop(body)), "}"]
    return out


def _taken(reduces: Sequence[Step]) -> list[str]:
    """Partial results of one element of the block in variables."""
    out = []
    for s in reduces:
        name = s.out.name
        if s.kind.startswith("arg"):
            out.append(f"{ctype(s.value.dtype)} best_{name} = x_{name}[l];")
            out.append(f"{reduction.position_type(s.value.dtype)} at_{name} = r_{name}[l];")
        else:
            out.append(f"{reduction.accumulator(s.kind, s.out.dtype)} at_{name} = r_{name}[l];")
    return out


def _put(reduces: Sequence[Step]) -> list[str]:
    args = [s for s in reduces if s.kind.startswith("arg")]
    return [f"x_{s.out.name}[l] = best_{s.out.name};" for s in args] + [
        f"r_{s.out.name}[l] = at_{s.out.name};" for s in reduces
    ]


def _local_update(s: Step, value: str) -> list[str]:
    name = s.out.name
    if s.kind.startswith("arg"):
        return _arg_update(s, value, f"best_{name}", f"at_{name}")
    return [f"at_{name} = {reduction.combine(s.kind, s.out.dtype, f'at_{name}', value)};"]


def _array_start(reduces: Sequence[Step]) -> list[str]:
    out = []
    for s in reduces:
        name = s.out.name
        if s.kind.startswith("arg"):
            out += [f"x_{name}[l] = {reduction.start(s.kind, s.value.dtype)};", f"r_{name}[l] = 0;"]
        else:
            out.append(f"r_{name}[l] = {reduction.start(s.kind, s.out.dtype)};")
    return out


def _array_update(s: Step, value: str) -> list[str]:
    name = s.out.name
    if s.kind.startswith("arg"):
        return _arg_update(s, value, f"x_{name}[l]", f"r_{name}[l]")
    return [f"r_{name}[l] = {reduction.combine(s.kind, s.out.dtype, f'r_{name}[l]', value)};"]


def _arg_update(s: Step, value: str, best: str, at: str) -> list[str]:
    """The first winner keeps its place; a NaN wins over everything but an earlier NaN."""
    name, here = s.out.name, affine_c(s.position)
    position = reduction.position_type(s.value.dtype)
    lines = [f"const {ctype(s.value.dtype)} y_{name} = {value};"]
    lines += [
        f"const {ctype(s.value.dtype)} z_{name} = {best};",
        f"const {position} j_{name} = ({position})({here});",
    ]
    sign = ">" if s.kind == "argmax" else "<"
    wins = f"(y_{name} {sign} z_{name})"
    ties = f"(y_{name} == z_{name})"
    if s.value.dtype.is_float:
        wins += f" | ((y_{name} != y_{name}) & (z_{name} == z_{name}))"
        ties += f" | ((y_{name} != y_{name}) & (z_{name} != z_{name}))"
    if not s.ordered:
        wins += f" | (({ties}) & (j_{name} < {at}))"
    lines += [
        f"const int w_{name} = {wins};",
        f"{best} = w_{name} ? y_{name} : z_{name};",
        f"{at} = w_{name} ? j_{name} : {at};",
    ]
    return lines


# ---------------------------------------------------------------- a reduced innermost axis


def _streams(w: Writer, sweep: Sweep, reduces: Sequence[Step], inner: Axis) -> list[str]:
    """One loop over the row, cut into several parts with their own accumulators, done side by side."""
    count = 1 if _streamed(w, sweep, inner) or inner.extent < 64 * w.choices.streams else w.choices.streams
    out = []
    for s in reduces:
        names = ", ".join(f"{_acc(u, s)} = {reduction.start(s.kind, s.out.dtype)}" for u in range(count))
        out.append(f"{reduction.accumulator(s.kind, s.out.dtype)} {names};")
    out += _flags(reduces)
    out += _inner(w, sweep, inner, count, _acc_update(0), _clauses(reduces, count))
    for s in reduces:
        value = _acc(0, s)
        for u in range(1, count):
            value = reduction.combine(s.kind, s.out.dtype, value, _acc(u, s))
        out.append(
            f"const {reduction.accumulator(s.kind, s.out.dtype)} r_{s.out.name} = {_unflagged(s, value)};"
        )
    return out


def _runs(w: Writer, sweep: Sweep, reduces: Sequence[Step], outer: Sequence[Axis], inner: Axis) -> list[str]:
    """Each run of the inner loop is added to a total."""
    out = [
        f"{reduction.wide(s.kind, s.out.dtype)} a_{s.out.name} = {reduction.start(s.kind, s.out.dtype)};"
        for s in reduces
    ]
    body = [
        f"{reduction.accumulator(s.kind, s.out.dtype)} {_acc(0, s)} = {reduction.start(s.kind, s.out.dtype)};"
        for s in reduces
    ]
    body += _inner(w, sweep, inner, 1, _acc_update(0), _clauses(reduces, 1))
    body += [
        f"a_{s.out.name} = {reduction.combine(s.kind, s.out.dtype, f'a_{s.out.name}', _acc(0, s))};"
        for s in reduces
    ]
    out += _nested(outer, body)
    return out + [
        f"const {reduction.accumulator(s.kind, s.out.dtype)} r_{s.out.name} = a_{s.out.name};"
        for s in reduces
    ]


def _wide(w: Writer, sweep: Sweep, reduces: Sequence[Step], outer: Sequence[Axis], inner: Axis) -> list[str]:
    """A short inner loop: a partial result for each of its elements, added up at the end."""
    out = [
        f"{reduction.accumulator(s.kind, s.out.dtype)} w_{s.out.name}[{inner.extent}] __attribute__((aligned(64)));"
        for s in reduces
    ]
    head = f"for (long l = 0; l < {inner.extent}; l++)"
    out += [f"{head} w_{s.out.name}[l] = {reduction.start(s.kind, s.out.dtype)};" for s in reduces]

    def update(s: Step, value: str) -> list[str]:
        cell = f"w_{s.out.name}[{inner.name}]"
        return [f"{cell} = {reduction.combine(s.kind, s.out.dtype, cell, value)};"]

    out += _nested(outer, _inner(w, sweep, inner, 1, update, ""))
    for s in reduces:
        kind, dtype = s.kind, s.out.dtype
        out.append(f"{reduction.accumulator(kind, dtype)} r_{s.out.name} = {reduction.start(kind, dtype)};")
        out.append(simd([(kind, dtype, [f"r_{s.out.name}"])]))
        out.append(
            f"{head} r_{s.out.name} = {reduction.combine(kind, dtype, f'r_{s.out.name}', f'w_{s.out.name}[l]')};"
        )
    return out


def _inner(w: Writer, sweep: Sweep, inner: Axis, count: int, update: Update, clauses: str) -> list[str]:
    """The innermost loop: `count` parts side by side, then what is left; in chunks where results are streamed."""
    streamed = _streamed(w, sweep, inner)
    if streamed:
        return _chunked(w, sweep, inner, streamed, update, clauses)
    part = inner.extent // count
    body: list[str] = []
    for u in range(count):
        lines = point(w, sweep, _shifted(update, u), set())
        here = f"const long {inner.name} = l + {u * part};"
        body += ["{", *_indented([here, *lines]), "}"] if count > 1 else lines
    name = "l" if count > 1 else inner.name
    out = [
        "#pragma omp simd" + clauses,
        f"for (long {name} = 0; {name} < {part}; {name}++) {{",
        *_indented(body),
        "}",
    ]
    if count * part < inner.extent:
        rest = point(w, sweep, _shifted(update, 0), set())
        out += [
            f"for (long {inner.name} = {count * part}; {inner.name} < {inner.extent}; {inner.name}++) {{",
            *_indented(rest),
            "}",
        ]
    return out


def _chunked(
    w: Writer, sweep: Sweep, inner: Axis, streamed: Sequence[Step], update: Update, clauses: str
) -> list[str]:
    size = min(CHUNK, inner.extent)
    out = [f"{CTYPE[s.out.dtype]} q_{s.out.name}[{size}] __attribute__((aligned(64)));" for s in streamed]
    whole = inner.extent % size == 0
    count = (
        str(size)
        if whole
        else f"{inner.extent} - {inner.name}_0 < {size} ? {inner.extent} - {inner.name}_0 : {size}"
    )
    body = [f"const long c = {count};", "#pragma omp simd" + clauses, "for (long l = 0; l < c; l++) {"]
    lines = [
        f"const long {inner.name} = {inner.name}_0 + l;",
        *point(w, sweep, update, {s.out.name for s in streamed}),
    ]
    body += [*_indented(lines), "}", *(_stream_call(s, inner, f"{inner.name}_0", "c") for s in streamed)]
    head = f"for (long {inner.name}_0 = 0; {inner.name}_0 < {inner.extent}; {inner.name}_0 += {size}) {{"
    return [*out, head, *_indented(body), "}"]


def _lanes(w: Writer, sweep: Sweep, reduces: Sequence[Step]) -> list[str]:
    """argmax and argmin along a row: the best value and its place in each of a fixed number of lanes, then the best lane."""
    outer, inner = sweep.axes[:-1], sweep.axes[-1]
    out = []
    for s in reduces:
        out += _lane_arrays(s)
    out += [f"for (long l = 0; l < {LANES}; l++) {{", *_indented(_array_start(reduces)), "}"]
    body = point(w, sweep, _array_update, set())
    whole = inner.extent // LANES * LANES
    loops: list[str] = []
    if whole:
        inside = [
            "#pragma omp simd",
            f"for (long l = 0; l < {LANES}; l++) {{",
            f"    const long {inner.name} = {inner.name}_0 + l;",
            *_indented(body),
            "}",
        ]
        loops += [
            f"for (long {inner.name}_0 = 0; {inner.name}_0 < {whole}; {inner.name}_0 += {LANES}) {{",
            *_indented(inside),
            "}",
        ]
    if whole < inner.extent:
        loops += [
            f"for (long l = 0; l < {inner.extent - whole}; l++) {{",
            f"    const long {inner.name} = {whole} + l;",
            *_indented(body),
            "}",
        ]
    out += _nested(outer, loops)
    for s in reduces:
        out += _lane_result(s)
    return out


def _lane_arrays(s: Step) -> list[str]:
    name = s.out.name
    if s.kind.startswith("arg"):
        position = reduction.position_type(s.value.dtype)
        return [f"{ctype(s.value.dtype)} x_{name}[{LANES}];", f"{position} r_{name}[{LANES}];"]
    return [f"{reduction.accumulator(s.kind, s.out.dtype)} r_{name}[{LANES}];"]


def _lane_result(s: Step) -> list[str]:
    name = s.out.name
    if not s.kind.startswith("arg"):
        fold = reduction.combine(s.kind, s.out.dtype, f"r_{name}[0]", f"r_{name}[l]")
        return [f"for (long l = 1; l < {LANES}; l++) r_{name}[0] = {fold};"]
    x, z = f"x_{name}[l]", f"x_{name}[0]"
    sign = ">" if s.kind == "argmax" else "<"
    wins, ties = f"({x} {sign} {z})", f"({x} == {z})"
    if s.value.dtype.is_float:
        wins += f" | (({x} != {x}) & ({z} == {z}))"
        ties += f" | (({x} != {x}) & ({z} != {z}))"
    lines = [f"const int w = {wins} | (({ties}) & (r_{name}[l] < r_{name}[0]));"]
    lines += [f"{z} = w ? {x} : {z};", f"r_{name}[0] = w ? r_{name}[l] : r_{name}[0];"]
    return [f"for (long l = 1; l < {LANES}; l++) {{", *_indented(lines), "}"]


# ---------------------------------------------------------------- small parts


def _acc(u: int, s: Step) -> str:
    return f"s{u}_{s.out.name}"


def _acc_update(u: int) -> Update:
    def update(s: Step, value: str) -> list[str]:
        if reduction.flagged(s.kind, s.out.dtype):
            sign = ">" if s.kind == "max" else "<"
            return [
                f"{_acc(u, s)} = {value} {sign} {_acc(u, s)} ? {value} : {_acc(u, s)};",
                f"nan_{s.out.name} |= {value} != {value};",
            ]
        return [f"{_acc(u, s)} = {reduction.combine(s.kind, s.out.dtype, _acc(u, s), value)};"]

    return update


def _flags(reduces: Sequence[Step]) -> list[str]:
    """A max is one instruction where it need not let NaN through; whether there was one is noted beside it."""
    return [f"int nan_{s.out.name} = 0;" for s in reduces if reduction.flagged(s.kind, s.out.dtype)]


def _unflagged(s: Step, value: str) -> str:
    return f"nan_{s.out.name} ? NAN : {value}" if reduction.flagged(s.kind, s.out.dtype) else value


def _shifted(update: Update, u: int) -> Update:
    """The update of part `u`: the first part's is the one given."""
    return update if u == 0 else _acc_update(u)


def _clauses(reduces: Sequence[Step], count: int) -> str:
    plain = [(s.kind, s.out.dtype, [_acc(u, s) for u in range(count)]) for s in reduces]
    flags = [
        ("any", DType.BOOL, [f"nan_{s.out.name}"]) for s in reduces if reduction.flagged(s.kind, s.out.dtype)
    ]
    return simd([*plain, *flags]).removeprefix("#pragma omp simd")


def _streamed(w: Writer, sweep: Sweep, inner: Axis) -> list[Step]:
    return [
        s
        for s in sweep.steps
        if s.out.name in w.choices.stream & w.stored and not s.reduces and s.store.of(inner.name) == 1
    ]


def _stream_call(s: Step, inner: Axis, start: str, count: str) -> str:
    first = Affine(s.store.offset, {a: c for a, c in s.store.coefficients.items() if a != inner.name})
    return f"kf_stream(p_{s.out.name} + {affine_c(first)} + {start}, q_{s.out.name}, ({count}) * sizeof *q_{s.out.name});"


def _nested(axes: Sequence[Axis], body: Sequence[str]) -> list[str]:
    lines = list(body)
    for a in reversed(axes):
        lines = [f"for (long {a.name} = 0; {a.name} < {a.extent}; {a.name}++) {{", *_indented(lines), "}"]
    return lines


def _indented(lines: Sequence[str]) -> list[str]:
    return ["    " + line for line in lines]
