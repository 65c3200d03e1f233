"""The loops of one sweep over R by blocks of a kept axis; and what they share with those along rows."""

from __future__ import annotations

from collections.abc import Callable

from kerf.kernels.codegen.expr import CTYPE, bound, ctype, stored
from kerf.kernels.codegen.nest.ahead import fetched
from kerf.kernels.codegen.nest.cnames import Own, affine_c, indented, nested
from kerf.kernels.codegen.nest.columns import Columns
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
        statements, result = bound(w.written(s.value), Own(), w.load(local, sweep), "", f"{name}_", w.inside)
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
    streamed = _streamed(w, sweep, w.vector)
    names = {s.out.name for s in streamed}
    if any(s.reduces for s in sweep.steps):
        return Columns(
            w, sweep, lambda update: point(w, sweep, update, names), streamed, lambda s: _block_stream(w, s)
        ).lines()
    out = [f"{CTYPE[s.out.dtype]} q_{s.out.name}[{w.block}] __attribute__((aligned(64)));" for s in streamed]
    body = [f"const long {w.vector.name} = {w.vector_index};", *point(w, sweep, lambda s, x: [], names)]
    tail = [_block_stream(w, s) for s in streamed]
    loop = [
        *fetched(w, sweep),
        "#pragma omp simd",
        f"for (long l = 0; l < {w.count}; l++) {{",
        *indented(body),
        "}",
        *tail,
    ]
    return [*out, *nested(sweep.axes, loop)]


def _block_stream(w: Writer, s: Step) -> str:
    return _stream_call(s, w.vector, f"{w.vector.name}_0" if w.splits else "0", w.count)


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
