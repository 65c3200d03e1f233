"""The loops of one sweep over R by blocks of a kept axis; and what they share with those along rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kerf.kernels.codegen.expr import CTYPE, bound, ctype, stored
from kerf.kernels.codegen.nest import reduction
from kerf.kernels.codegen.nest.cnames import Own, affine_c
from kerf.kernels.codegen.nest.domain import Step
from kerf.kernels.codegen.nest.sweep import Sweep
from kerf.kernels.codegen.nest.writer import Writer
from kerf.kernels.ir import Affine, Axis

Update = Callable[[Step, str], list[str]]


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


def block_lines(w: Writer, sweep: Sweep) -> list[str]:
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
            *indented(_array_start(reduces)),
            "}",
        ]
    out += [f"{CTYPE[s.out.dtype]} q_{s.out.name}[{w.block}] __attribute__((aligned(64)));" for s in streamed]
    tail = [_stream_call(s, w.vector, f"{w.vector.name}_0" if w.splits else "0", w.count) for s in streamed]
    loop = ["#pragma omp simd", f"for (long l = 0; l < {w.count}; l++) {{", *indented(body), "}", *tail]
    unroll = w.choices.unroll if sweep.axes and not streamed else 1
    if unroll == 1 or sweep.axes[-1].extent < 2 * unroll:
        return [*out, *nested(sweep.axes, loop)]
    body = [f"const long {w.vector.name} = {w.vector_index};", *point(w, sweep, _local_update, names)]
    return [*out, *nested(sweep.axes[:-1], _unrolled(w, sweep.axes[-1], reduces, body, unroll))]


def _unrolled(w: Writer, axis: Axis, reduces: Sequence[Step], body: Sequence[str], unroll: int) -> list[str]:
    """Several steps of `axis` in one loop over the block, so that partial results are loaded and stored less often."""
    many = axis.extent // unroll * unroll

    def loop(steps: Sequence[str]) -> list[str]:
        inside = [*_taken(reduces), *steps, *_put(reduces)]
        return ["#pragma omp simd", f"for (long l = 0; l < {w.count}; l++) {{", *indented(inside), "}"]

    steps = [
        line
        for u in range(unroll)
        for line in ("{", f"    const long {axis.name} = {axis.name}_0 + {u};", *indented(body), "}")
    ]
    out = [
        f"for (long {axis.name}_0 = 0; {axis.name}_0 < {many}; {axis.name}_0 += {unroll}) {{",
        *indented(loop(steps)),
        "}",
    ]
    if many < axis.extent:
        head = f"for (long {axis.name} = {many}; {axis.name} < {axis.extent}; {axis.name}++) {{"
        out += [head, *indented(loop(body)), "}"]
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
        return arg_update(s, value, f"best_{name}", f"at_{name}")
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
        return arg_update(s, value, f"x_{name}[l]", f"r_{name}[l]")
    return [f"r_{name}[l] = {reduction.combine(s.kind, s.out.dtype, f'r_{name}[l]', value)};"]


def arg_update(s: Step, value: str, best: str, at: str) -> list[str]:
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


# ---------------------------------------------------------------- small parts


def _streamed(w: Writer, sweep: Sweep, inner: Axis) -> list[Step]:
    return [
        s
        for s in sweep.steps
        if s.out.name in w.choices.stream & w.stored and not s.reduces and s.store.of(inner.name) == 1
    ]


def _stream_call(s: Step, inner: Axis, start: str, count: str) -> str:
    first = Affine(s.store.offset, {a: c for a, c in s.store.coefficients.items() if a != inner.name})
    return f"kf_stream(p_{s.out.name} + {affine_c(first)} + {start}, q_{s.out.name}, ({count}) * sizeof *q_{s.out.name});"


def nested(axes: Sequence[Axis], body: Sequence[str]) -> list[str]:
    lines = list(body)
    for a in reversed(axes):
        lines = [f"for (long {a.name} = 0; {a.name} < {a.extent}; {a.name}++) {{", *indented(lines), "}"]
    return lines


def indented(lines: Sequence[str]) -> list[str]:
    return ["    " + line for line in lines]
