"""The loops of one sweep over R by blocks of a kept axis; and what they share with those along rows."""

from __future__ import annotations

from collections.abc import Callable

from kerf.kernels.codegen.expr import CTYPE, bound, ctype, stored
from kerf.kernels.codegen.nest.ahead import fetched
from kerf.kernels.codegen.nest.cnames import CHUNK, LINE, Own, affine_c, indented, nested
from kerf.kernels.codegen.nest.columns import Columns
from kerf.kernels.codegen.nest.domain import Step
from kerf.kernels.codegen.nest.sweep import Sweep
from kerf.kernels.codegen.nest.writer import Writer
from kerf.kernels.ir import Affine, Axis

Update = Callable[[Step, str], list[str]]


def point(w: Writer, sweep: Sweep, update: Update, streamed: set[str], at: str = "l") -> list[str]:
    """Statements for one element: every value once, in order; reductions through `update`; stores, where `streamed` into arrays at `at`."""
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
            target = f"q_{name}[{at}]" if name in streamed else f"p_{name}[{affine_c(s.store)}]"
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
    body = [
        f"const long {w.vector.name} = {w.vector_index};",
        *point(w, sweep, lambda s, x: [], names, "l - from" if streamed else "l"),
    ]
    if streamed:
        return nested(sweep.axes, _stream_chunks(w, sweep, streamed, body))
    loop = [
        *fetched(w, sweep),
        "#pragma omp simd",
        f"for (long l = 0; l < {w.count}; l++) {{",
        *indented(body),
        "}",
    ]
    return nested(sweep.axes, loop)


def _stream_chunks(w: Writer, sweep: Sweep, streamed: list[Step], body: list[str]) -> list[str]:
    """A block in short runs, each streamed as soon as it is made, while the next is on its way: a long burst would wait for memory. They end
    where lines of the first result do."""
    first, count = streamed[0], w.count
    start, size = _place(first, w.vector), first.out.dtype.bytes
    strides = (start.offset, *start.coefficients.values())
    off = ""
    if any(c * size % LINE for c in strides):
        begin = f"{affine_c(start)} + {_from(w)}"
        off = f" - (from ? 0 : (long)((uintptr_t)(p_{first.out.name} + {begin}) % {LINE} / {size}))"
    lines = [
        f"const long end = from + {CHUNK}{off} < {count} ? from + {CHUNK}{off} : {count};",
        *fetched(w, sweep, "from", "end"),
        *(
            f"{CTYPE[s.out.dtype]} q_{s.out.name}[{CHUNK}] __attribute__((aligned({LINE})));"
            for s in streamed
        ),
        "#pragma omp simd",
        "for (long l = from; l < end; l++) {",
        *indented(body),
        "}",
        *(_stream_call(s, w.vector, f"{_from(w)} + from", "end - from") for s in streamed),
    ]
    return ["for (long from = 0; from < " + count + ";) {", *indented([*lines, "from = end;"]), "}"]


def _block_stream(w: Writer, s: Step) -> str:
    return _stream_call(s, w.vector, _from(w), w.count)


def _from(w: Writer) -> str:
    return f"{w.vector.name}_0" if w.splits else "0"


# ---------------------------------------------------------------- small parts


def _streamed(w: Writer, sweep: Sweep, inner: Axis) -> list[Step]:
    return [
        s
        for s in sweep.steps
        if s.out.name in w.choices.stream & w.stored and not s.reduces and s.store.of(inner.name) == 1
    ]


def _stream_call(s: Step, inner: Axis, start: str, count: str) -> str:
    first = affine_c(_place(s, inner))
    return (
        f"kf_stream(p_{s.out.name} + {first} + {start}, q_{s.out.name}, ({count}) * sizeof *q_{s.out.name});"
    )


def _place(s: Step, inner: Axis) -> Affine:
    """Where the run along `inner` begins in the result."""
    return Affine(s.store.offset, {a: c for a, c in s.store.coefficients.items() if a != inner.name})
