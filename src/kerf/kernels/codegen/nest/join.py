"""Loops of maps that are put together along a narrow axis: some rows of each piece into arrays, each piece in one long loop, then the rows
of the result from these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

from kerf.kernels.codegen.expr import CTYPE
from kerf.kernels.codegen.nest.cnames import affine_c, indented
from kerf.kernels.codegen.nest.domain import Step
from kerf.kernels.codegen.nest.index import expression, form
from kerf.kernels.codegen.nest.phase import Phase
from kerf.kernels.codegen.nest.pieces import Piece, digits, joint, over, pieces
from kerf.kernels.codegen.nest.staged import Staged
from kerf.kernels.codegen.nest.sweep import HEAVY
from kerf.kernels.codegen.nest.widen import fused
from kerf.kernels.codegen.nest.writer import Choices, Writer
from kerf.kernels.ir import Affine, Apply, Axis, Buffer, Expr, Index, loads, walk

WIDEST = 256  # elements of a row, above which each piece is long enough by itself
SIZE = 1024  # elements of the rows that are done together


@dataclass(frozen=True)
class Join:
    """`rows`: the axis of which some are done together, inside of `outer`; a row has `width` elements, each piece of it as many in turn from
    its `starts`; `parts`: the pieces as phases of one long axis."""

    outer: tuple[Axis, ...]
    rows: Axis
    width: int
    store: Affine
    step: Step
    parts: tuple[Phase, ...]
    starts: tuple[int, ...]

    @property
    def staged(self) -> list[Staged]:
        return [o for p in self.parts for o in p.staged]


def join(phase: Phase, buffer: Callable[[str], Buffer], lanes: int) -> Join | None:
    """The phase as pieces of narrow rows, where that pays: where something costly is computed, or other elements are read for each piece."""
    axis = joint(phase.steps[0].value, phase.axes) if len(phase.steps) == 1 else None
    s = phase.steps[0]
    if axis is None or s.kind != "map" or s.space != {a.name for a in phase.axes}:
        return None
    at = phase.axes.index(axis)
    width, found = prod(a.extent for a in phase.axes[at:]), pieces(s.value, axis)
    if at == 0 or width >= WIDEST or len(found) < 2 or not _pays(s.value, axis):
        return None
    made = [_part(phase, at, p, n, buffer, lanes) for n, p in enumerate(found)]
    parts = tuple(p for p in made if p is not None)
    if len(parts) < len(made):
        return None
    inner = width // axis.extent
    starts = tuple(p.start * inner for p in found)
    return Join(phase.axes[: at - 1], phase.axes[at - 1], width, s.store, s, parts, starts)


def _pays(value: Expr, axis: Axis) -> bool:
    if any(isinstance(e, Apply) and e.op in HEAVY for e in walk(value)):
        return True
    return any(Index(axis.name) in set(walk(i)) for load in loads(value) for i in load.index)


def _part(
    phase: Phase, at: int, piece: Piece, number: int, buffer: Callable[[str], Buffer], lanes: int
) -> Phase | None:
    """The piece over rows and its own elements, as one axis."""
    s, axis = phase.steps[0], phase.axes[at]
    own = digits(piece, axis.name)
    if own is None:
        return None
    axes = (*phase.axes[:at], *own, *phase.axes[at + 1 :])
    extents = {a.name: a.extent for a in axes}

    def place(offset: Expr) -> Expr:
        found = form(offset, extents)
        return offset if found is None else expression(found)

    value = over(piece, axis.name, own, place)
    strides, size = {}, 1
    for a in reversed(axes[at - 1 :]):
        strides[a.name] = size
        size *= a.extent
    out = Buffer(f"{s.out.name}_{number}", (size,), s.out.dtype)
    step = Step(out, "map", value, frozenset(extents), frozenset(), Affine(0, strides), Affine(0, {}))
    part = Phase(axes, frozenset(), (step,), {out.name: "row"}, {out.name: 0})
    return fused(part, at - 1, buffer, lanes)


def join_lines(
    j: Join,
    buffer: Callable[[str], Buffer],
    scalars: dict[str, str],
    choices: Choices,
    threads: int,
    symbol: str,
    lanes: int,
) -> list[str]:
    """C of the whole phase."""
    count = max(1, SIZE // j.width // lanes) * lanes
    many = [_writer(p, count, j, buffer, scalars, choices, symbol) for p in j.parts]
    once = [line for w in many for o in w.phase.staged if o.once for line in w.operand(o)]
    row, r = j.rows.name, f"{j.rows.name}_0"
    body = [f"const long m = {j.rows.extent} - {r} < {count} ? {j.rows.extent} - {r} : {count};"]
    body += [f"{CTYPE[w.phase.steps[0].out.dtype]} q_{w.phase.steps[0].out.name}[{count * _size(w.phase, j)}] __attribute__((aligned(64)));" for w in many]  # fmt: skip
    body += [line for w in many for line in ("{", *indented(_piece(w, j, r)), "}")]
    body += _rows(j, row, r, count, j.step.out.name in choices.stream)
    heads = [f"for (long {a.name} = 0; {a.name} < {a.extent}; {a.name}++) {{" for a in j.outer]
    heads.append(f"for (long {r} = 0; {r} < {j.rows.extent}; {r} += {count}) {{")
    shared = f"#pragma omp parallel for schedule(static) num_threads(threads) collapse({len(heads)})"
    lines = [*once, *([shared] if threads > 1 else []), *heads, *indented(body), *("}" for _ in heads)]
    return indented(lines)


def _size(part: Phase, j: Join) -> int:
    """Elements of a piece in a row."""
    return part.axes[-1].extent // j.rows.extent


def _writer(
    part: Phase,
    count: int,
    j: Join,
    buffer: Callable[[str], Buffer],
    scalars: dict[str, str],
    choices: Choices,
    symbol: str,
) -> Writer:
    mine = replace(choices, block=count * _size(part, j), stream=frozenset(), tile=0)
    stored = frozenset(s.out.name for s in part.steps)
    return Writer(part, buffer, stored, scalars, mine, 1, 0, symbol)


def _piece(w: Writer, j: Join, r: str) -> list[str]:
    """The rows of one piece, into its array."""
    v, size, (step,) = w.vector.name, _size(w.phase, j), w.phase.steps
    return [
        f"const long {v}_0 = {r} * {size}, n = m * {size};",
        *(line for o in w.phase.staged if not o.once for line in w.operand(o)),
        *w.row_loops([step], (), (), {step.out.name}),
        f"(void){v}_0, (void)n;",
    ]


def _rows(j: Join, row: str, r: str, count: int, stream: bool) -> list[str]:
    """Rows of the result from those of the pieces; where `stream`, past the caches."""
    name, axes = j.step.out.name, {a.name for a in (*j.outer, j.rows)}
    first = Affine(
        j.store.offset, {(r if a == row else a): c for a, c in j.store.coefficients.items() if a in axes}
    )
    target = f"p_{name} + {affine_c(first)}"
    ends = [*j.starts[1:], j.width]
    copies = [
        f"memcpy(to + {row} * {j.width}L + {start}, q_{p.steps[0].out.name} + {row} * {end - start}L, {end - start} * sizeof *to);"
        for p, start, end in zip(j.parts, j.starts, ends, strict=True)
    ]
    kind = CTYPE[j.step.out.dtype]
    place = (
        f"{kind} to[{count * j.width}] __attribute__((aligned(64)));"
        if stream
        else f"{kind} *restrict to = {target};"
    )
    after = [f"kf_stream({target}, to, m * {j.width} * sizeof *to);"] if stream else []
    return [place, f"for (long {row} = 0; {row} < m; {row}++) {{", *indented(copies), "}", *after]
