"""Maps whose innermost axis is narrow, as maps over one long axis: vectors stay full, and loops long."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import lcm, prod

from kerf.kernels.codegen.nest.domain import Step
from kerf.kernels.codegen.nest.index import expression, form, span
from kerf.kernels.codegen.nest.phase import Phase
from kerf.kernels.codegen.nest.staged import Staged, shuffled
from kerf.kernels.codegen.nest.sweep import HEAVY
from kerf.kernels.ir import Affine, Apply, Axis, Buffer, DType, Expr, Index, Load, transform, walk

SHORT = 256  # elements of the fused axis that are worth a loop of their own
LONGEST = 1024  # elements after which the pattern of an operand must repeat
NARROW = 4  # vectors from which the rest after whole ones is little


def widened(phase: Phase, buffer: Callable[[str], Buffer], lanes: int) -> Phase:
    """The phase with its innermost axes fused into one, where they are narrow and all its operands allow that; else as it is."""
    if not _narrow(phase, lanes):
        return phase
    at = len(phase.axes) - 2
    while at > 0 and prod(a.extent for a in phase.axes[at:]) < SHORT:
        at -= 1
    found = fused(phase, at, buffer, lanes)
    return phase if found is None or (_slow(found) and not _heavy(phase)) else found


def fused(phase: Phase, at: int, buffer: Callable[[str], Buffer], lanes: int) -> Phase | None:
    """The phase with its axes from `at` on fused into one; None where an operand or the length of its pattern does not allow it."""
    one = _Fused(phase, phase.axes[at:], buffer, lanes)
    steps = one.steps() if one.unit <= LONGEST else None
    if steps is None:
        return None
    axes = (*phase.axes[:at], one.axis)
    return replace(phase, axes=axes, steps=steps, staged=tuple(one.staged.values()), unit=one.unit)


def _slow(phase: Phase) -> bool:
    """Is some operand read element by element in every block, or are there conditions on places, of which each element needs one side?"""
    return any(not (o.lanes or o.once) or not o.buffer for o in phase.staged)


def _narrow(phase: Phase, lanes: int) -> bool:
    """Only maps over all axes, the innermost of them short and no whole number of vectors?"""
    every = {a.name for a in phase.axes}
    maps = all(s.kind == "map" and s.space == every for s in phase.steps)
    inner = phase.axes[-1].extent if phase.axes else 0
    return maps and len(phase.axes) > 1 and inner < NARROW * lanes and inner % lanes != 0


def _heavy(phase: Phase) -> bool:
    return any(isinstance(e, Apply) and e.op in HEAVY for s in phase.steps for e in walk(s.value))


@dataclass
class _Fused:
    """`axes`, the phase's innermost, as one."""

    phase: Phase
    axes: Sequence[Axis]
    buffer: Callable[[str], Buffer]
    lanes: int
    staged: dict[object, Staged] = field(default_factory=dict)

    @property
    def period(self) -> int:
        return prod(a.extent for a in self.axes[1:])

    @property
    def unit(self) -> int:
        """Elements after which every pattern repeats, in whole vectors."""
        return lcm(self.period, self.lanes)

    @property
    def axis(self) -> Axis:
        return Axis(self.axes[-1].name, self.axes[0].extent * self.period)

    def steps(self) -> tuple[Step, ...] | None:
        out = []
        for s in self.phase.steps:
            store = self._along(s.store)
            value = self._value(s.value)
            if store is None or store.of(self.axis.name) != 1 or value is None:
                return None
            gone = {a.name for a in self.axes[:-1]}
            out.append(replace(s, value=value, store=store, space=s.space - gone))
        return tuple(out)

    def _value(self, value: Expr) -> Expr | None:
        """`value` over the fused axis; None where an operand does not allow it."""
        failed = False

        def leaf(e: Expr) -> Expr | None:
            nonlocal failed
            new = self._load(e) if isinstance(e, Load) else self._digit(e) if isinstance(e, Index) else e
            if isinstance(e, Load | Index):
                failed = failed or new is None
                return new or e
            return None

        out = transform(value, leaf)
        return None if failed else out

    def _load(self, load: Load) -> Expr | None:
        place = form(load.index[0], {})
        if place is None:
            index = self._value(load.index[0])
            return None if index is None else replace(load, index=(index,))
        along = self._along(place)
        if load.buffer in self.phase.made or along is not None:
            return None if along is None else replace(load, index=(expression(along),))
        extents = {a.name: a.extent for a in self.phase.axes}
        low, high = span(place, extents)
        if low < 0 or high >= self.buffer(load.buffer).size:
            return None
        return self._taken((load.buffer, str(place)), load.buffer, place, load.dtype)

    def _digit(self, index: Index) -> Expr | None:
        if index.axis not in {a.name for a in self.axes}:
            return index
        if index.axis == self.axes[0].name:
            return None
        return self._taken(index.axis, "", Affine(0, {index.axis: 1}), DType.I64)

    def _taken(self, key: object, buffer: str, place: Affine, compute: DType) -> Expr:
        if key not in self.staged:
            dtype = self.buffer(buffer).dtype if buffer else compute
            inner = {a.name for a in self.axes}
            base = Affine(place.offset, {a: c for a, c in place.coefficients.items() if a not in inner})
            places, step = self._places(place), place.of(self.axes[0].name) * (self.unit // self.period)
            lanes = self.lanes if buffer and shuffled(places, step, dtype, self.lanes) else 0
            name = f"wide{len(self.staged)}_{self.phase.steps[0].out.name}"
            made = Staged(name, buffer, base, places, step, dtype, lanes)
            self.staged[key] = made
        return Load(self.staged[key].name, (Index(self.axis.name),), compute)

    def _places(self, place: Affine) -> tuple[int, ...]:
        """Where the elements of one repetition lie, from the first."""
        out = []
        for at in range(self.unit):
            total, rest = 0, at
            for a in reversed(self.axes[1:]):
                rest, digit = divmod(rest, a.extent)
                total += digit * place.of(a.name)
            out.append(total + rest * place.of(self.axes[0].name))
        return tuple(out)

    def _along(self, place: Affine) -> Affine | None:
        """`place` over the fused axis, where it runs on along it or does not depend on it."""
        step = place.of(self.axes[-1].name)
        wanted = step
        for a in reversed(self.axes):
            if place.of(a.name) != wanted:
                return None
            wanted *= a.extent
        inner = {a.name for a in self.axes[:-1]}
        kept: Mapping[str, int] = {a: c for a, c in place.coefficients.items() if a not in inner}
        return Affine(place.offset, dict(kept))
