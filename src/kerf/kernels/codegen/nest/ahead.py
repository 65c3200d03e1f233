"""What is fetched from memory while something else is computed.

A sweep that reads memory in order asks for what lies a few kilobytes further on: hardware prefetchers stop at the end of a page, and
see little of a stream beside long arithmetic. Where pieces of a row are read twice, each reading fetches half of the next piece. Sweeps
by blocks of a kept axis that read a tile again leave memory idle: one of them fetches the next tile meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kerf.kernels.codegen.expr import CTYPE, render
from kerf.kernels.codegen.nest.cnames import LINE, Own, affine_c
from kerf.kernels.codegen.nest.domain import Step
from kerf.kernels.codegen.nest.index import form
from kerf.kernels.codegen.nest.sweep import Sweep
from kerf.kernels.codegen.nest.writer import Writer
from kerf.kernels.ir import (
    Affine,
    Apply,
    Axis,
    Expr,
    Index,
    Load,
    apply,
    const_index,
    loads,
    rename_axes,
    transform,
    walk,
)

SMALL = 1 << 18  # bytes of a buffer that caches hold anyway
LATER = 8  # rows between one that is looked up and the one that is fetched


def onward(
    w: Writer, steps: Iterable[Step], inner: str, start: str, count: int, after: tuple[str, int] | None = None
) -> list[str]:
    """Statements that fetch `count` elements along the axis `inner`, `w.choices.ahead` bytes beyond `start`, of each buffer that runs along it
    and that no earlier sweep has read. `after`: an axis and the elements by which a step along it moves those buffers that are meant."""
    out = []
    for name, place in _runs(w, steps, inner).items():
        if after and place.of(after[0]) != after[1]:
            continue
        size = w.buffer(name).dtype.bytes
        here = placed(place, inner, start)
        first = affine_c(replace(here, offset=here.offset + w.choices.ahead // size))
        if count * size <= LINE:
            out.append(f"__builtin_prefetch(p_{name} + {first}, 0, 2);")
            continue
        out.append(
            f"for (long l = 0; l < {count}; l += {LINE // size}) __builtin_prefetch(p_{name} + {first} + l, 0, 2);"
        )
    return out


def following(
    w: Writer, steps: Iterable[Step], inner: str, around: Axis | None, end: str, whole: int
) -> list[str]:
    """Declarations of n_x for each such buffer x: where the piece that follows the one up to `end` begins, which is in the next run, one on
    along `around`, where `end` is `whole`."""
    out = []
    for name, place in _runs(w, steps, inner).items():
        at, step = affine_c(placed(place, inner, end)), place.of(around.name) if around else whole
        if step != whole:
            rest = Affine(place.offset + step, {a: c for a, c in place.coefficients.items() if a != inner})
            at = f"({end} < {whole} ? {at} : {affine_c(rest)})"
        out.append(f"const {CTYPE[w.buffer(name).dtype]} *n_{name} = p_{name} + {at};")
    return out


def half(w: Writer, steps: Iterable[Step], inner: str, start: str, count: int) -> list[str]:
    """Statements that fetch half of what follows, as `following` has it, beside `count` elements `start` elements into a loop over a piece."""
    out = []
    for name in _runs(w, steps, inner):
        step = LINE // w.buffer(name).dtype.bytes
        fetch = f"__builtin_prefetch(n_{name} + ({start}) / 2"
        lines = max(1, count // 2 // step)
        out.append(f"{fetch}, 0, 2);" if lines == 1 else f"for (long l = 0; l < {lines * step}; l += {step}) {fetch} + l, 0, 2);")  # fmt: skip
    return out


def placed(place: Affine, inner: str, start: str) -> Affine:
    """`place` with the axis `inner` at `start`."""
    return Affine(place.offset, {start if a == inner else a: c for a, c in place.coefficients.items()})


def _runs(w: Writer, steps: Iterable[Step], inner: str) -> dict[str, Affine]:
    """Large buffers that these steps read along `inner`, with one place each."""
    if not w.choices.ahead:
        return {}
    found: dict[str, Affine] = {}
    for load in (load for s in steps for load in loads(s.value)):
        outside = load.buffer not in w.phase.known and load.buffer not in w.scalars
        place = form(load.index[0], {}) if outside and w.buffer(load.buffer).bytes > SMALL else None
        if place and place.of(inner) == 1:
            found.setdefault(load.buffer, place)
    return found


def fetched(w: Writer, sweep: Sweep, start: str = "0", end: str = "") -> list[str]:
    """Statements at a row of this tile that fetch its columns from `start` to `end` (all of them) of the next."""
    if sweep is not w.fetching:
        return []
    v, out = w.vector, []
    for name, place in _tiles(w, sweep).items():
        row = Affine(place.offset, {a: c for a, c in place.coefficients.items() if a != v.name})
        at = affine_c(row) + (f" + {v.name}_0" if w.splits else "")
        step = LINE // w.buffer(name).dtype.bytes
        target = f"p_{name} + {at} + {_distance(w, place)} + l"
        out.append(
            f"for (long l = {start}; l < {end or w.count}; l += {step}) __builtin_prefetch({target}, 0, 2);"
        )
    return out


def looked_up(w: Writer, sweep: Sweep) -> list[str]:
    """Statements at a row that fetch the row looked up LATER rows on, of large buffers: no hardware foresees where that lies."""
    v, rows, out = w.vector.name, sweep.axes[-1].name, dict[str, None]()
    for load in (load for s in sweep.steps for load in loads(s.value)):
        at = load.index[0]
        inner = list(loads(at))
        if not inner or load.buffer in w.phase.made or w.buffer(load.buffer).bytes <= SMALL:
            continue
        if not _runs_on(at, v) or not all(_one_on(w, ld, rows, v) for ld in inner):
            continue
        later = transform(rename_axes(at, {v: Index(w.vector_index)}), lambda e: _later(w, e))
        step = LINE // w.buffer(load.buffer).dtype.bytes
        place = f"p_{load.buffer} + {render(later, Own(), w.load(()))}"
        out[f"for (long l = 0; l < {w.count}; l += {step}) __builtin_prefetch({place}, 0, 3);"] = None
    return list(out)


def _runs_on(e: Expr, v: str) -> bool:
    """Is `e` one place after another along the loop `v`, from wherever the loads in it say?"""
    if isinstance(e, Apply) and e.op == "add":
        left, right = e.args
        return any(_runs_on(a, v) and Index(v) not in walk(b) for a, b in ((left, right), (right, left)))
    place = form(e, {})
    return place is not None and place.of(v) == 1


def _one_on(w: Writer, load: Load, rows: str, v: str) -> bool:
    """Does the next row find its place one element on?"""
    place = form(load.index[0], {})
    outside = load.buffer not in w.phase.made and load.buffer not in w.scalars
    return outside and place is not None and place.of(rows) == 1 and not place.of(v)


def _later(w: Writer, e: Expr) -> Expr | None:
    if not isinstance(e, Load):
        return None
    last = const_index(w.buffer(e.buffer).size - 1)
    place = apply("min", apply("add", e.index[0], const_index(LATER)), last)
    return Load(e.buffer, (place,), e.dtype)


def _distance(w: Writer, place: Affine) -> str:
    """Elements from this tile to the next: along the row, then on to the next point of K."""
    v = w.vector
    after = place.of(w.outer[-1].name) if w.outer else v.extent
    if not w.splits:
        return str(after)
    return f"({v.name}_0 + {w.block} < {v.extent} ? {w.block} : {after} - {v.name}_0)"


def _tiles(w: Writer, sweep: Sweep) -> dict[str, Affine]:
    """Buffers that sweeps read along the block, in every row of it, with their places."""
    loops = {a.name for a in (*w.phase.kept, *sweep.axes)}  # another sweep may have merged others
    found = {}
    for s in (step for other in w.found for step in other.steps):
        for load in loads(s.value):
            place = form(load.index[0], {}) if load.buffer not in w.phase.made else None
            along = place and place.of(w.vector.name) == 1 and loops >= set(place.coefficients)
            if place and along and any(place.of(a.name) for a in sweep.axes):
                found[load.buffer] = place
    return found
