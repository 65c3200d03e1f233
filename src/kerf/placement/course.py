"""The way of one recipe from netlist to legal placement, stage by stage, kept in the run's journal so that it can go on after a kill.

Mixed designs go the way of ePlace-MS (Lu et al., TCAD 2015): everything together, macros made legal and held, cells once more, rows, detailed
improvement. The stages themselves are the packages `analytic`, `legalize`, `detailed` and `proxy_search`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from kerf.core.types import KerfError
from kerf.placement.constraints.gathering import narrow
from kerf.placement.constraints.lowering import Lowered
from kerf.placement.design import Bools, Design, Floats, Kind, Placement
from kerf.placement.journal import Journal, Standing
from kerf.placement.legality import check
from kerf.placement.problem import PlacementProblem
from kerf.placement.recipe import Recipe
from kerf.placement.rules import Rules
from kerf.placement.steps import Deadline, Step, Watch

FULL = 0.95
"""The utilization up to which macros get space of their own."""
TRIES = 3
"""Times that legalization is tried with room beside cells, half as much each time."""
FINISH_S = 20.0
"""What making macros legal may still take once the user has asked to stop."""


@dataclass(frozen=True)
class Stoppable(Deadline):
    """A deadline that has also passed once `stop` is set. A `sudden` one looks endless until it has passed: a stage that would fill the
    time until then does not."""

    stop: threading.Event = field(default_factory=threading.Event)
    sudden: bool = False

    @property
    def left(self) -> float:
        left = 0.0 if self.stop.is_set() else super().left
        return float("inf") if self.sudden and left > 0 else left


@dataclass(frozen=True)
class Clock:
    """How long a recipe may take (seconds from `began`; None: as long as it wants), and whether the user has asked to stop. `fill`:
    the last stage is to use all of it, and not to end when it has converged."""

    seconds: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    fill: bool = False
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        return (
            float("inf") if self.seconds is None else max(0.0, self.seconds - (time.monotonic() - self.began))
        )

    def share(self, part: float) -> Deadline:
        """A deadline after this part of what is left."""
        return Stoppable(None if self.seconds is None else part * self.left, stop=self.stop)

    @property
    def end(self) -> Deadline:
        """The deadline of the last stage."""
        return Stoppable(self.share(1.0).seconds, stop=self.stop, sudden=not self.fill)


@dataclass
class Course:
    """One recipe at work. `notes` says what stages had to say beside their placements. `around`: cells are placed anew around macros,
    though the start is kept."""

    problem: PlacementProblem
    recipe: Recipe
    candidate: str
    clock: Clock
    threads: int
    watch: Watch
    journal: Journal
    notes: list[str] = field(default_factory=list)
    around: bool = False

    def __post_init__(self) -> None:
        self.lowered: Lowered = self.problem.lowered
        self.stage = ""
        self.resumed = False
        self.swell: Floats | None = None

    @property
    def design(self) -> Design:
        return self.problem.work

    @property
    def rules(self) -> Rules:
        return self.lowered.rules

    def run(self) -> Placement:
        """The placement that the recipe leads to; whether it is legal is for others to say. Raises KerfError where a stage cannot go on."""
        stages = self.stages()
        names = list(stages)
        placement, begin = self._where_it_stood(names)
        for name in names[begin:]:
            self.stage = name
            placement = stages[name](placement)
            self._stand(placement, whole=True)
            self.resumed = False
            if name == "legalize":
                self.watch(Step(name, 1, 1, placement=placement, legal=True))  # whatever comes, this is kept
        return self._inside(placement)

    def stages(self) -> dict[str, Callable[[Placement], Placement]]:
        """What this design needs, in order."""
        if self.problem.target == "proxy":
            return {"proxy": self._proxy}
        kind, moving = self.design.kind, ~self.rules.fixed
        macros = bool((moving & (kind == Kind.MACRO)).any())
        cells = bool((moving & (kind != Kind.MACRO)).any())
        start = self.lowered.start
        lacking = bool((moving & ~np.isfinite(start.x + start.y)).any())
        found: dict[str, Callable[[Placement], Placement]] = {}
        if not self.problem.kept or lacking:
            found["global"] = self._global
        if macros:
            found["macros"] = self._macros
        if cells and (self.around or (macros and self.recipe.again and "global" in found)):
            found["cells"] = self._cells
        if bool((moving & (kind == Kind.CELL)).any()):
            found["legalize"] = self._legalize
        if macros or cells:
            found["detailed"] = self._detailed
        return found

    # Stages

    def _global(self, placement: Placement) -> Placement:
        macros = self._movable(Kind.MACRO)
        rules = replace(
            self.rules, halo=np.maximum(self.rules.halo, np.where(macros, self._clear(macros), 0.0))
        )
        kept = self.problem.kept or self.resumed
        return self._narrowed(self._analytic(placement, rules, kept, 0.4 if macros.any() else 0.6))

    def _clear(self, macros: Bools) -> Floats:
        """(C,) the recipe's space around macros; none where the die is too full for it."""
        w, h = self.design.width, self.design.height
        clear = self.recipe.spread * np.minimum(w, h)
        more = float(((w + 2 * clear) * (h + 2 * clear) - w * h)[macros].sum())
        moving = float((w * h)[~self.rules.fixed].sum())
        full = self.problem.utilization * (1.0 + more / max(moving, 1e-300))
        return clear if full < FULL else np.zeros_like(clear)

    def _macros(self, placement: Placement) -> Placement:
        from kerf.placement.analytic import orient_macros
        from kerf.placement.legalize import legalize_macros

        placement = self._narrowed(placement)
        if self.problem.kept and self._macros_stand(placement):
            return placement
        placement = orient_macros(self.design, placement, self.rules)
        if self.clock.stop.is_set():
            deadline = Deadline(FINISH_S)
        else:
            deadline = self.clock.share(0.3)
        return legalize_macros(self.design, placement, self.rules, deadline=deadline, watch=self._seen)

    def _cells(self, placement: Placement) -> Placement:
        """Cells alone, macros where they are."""
        if self.clock.stop.is_set():
            return placement
        kept = self.resumed or not self.around
        return self._analytic(placement, self.rules.freeze(self._movable(Kind.MACRO)), kept, 0.6)

    def _legalize(self, placement: Placement) -> Placement:
        """However late it is: what is not on rows is of no use."""
        from kerf.placement.legalize import legalize_cells

        placement = self._narrowed(placement)
        if self.problem.kept and check(self.design, placement).legal:
            return placement
        rules = self.rules.freeze(self._movable(Kind.MACRO))
        return self._with_room(lambda design: legalize_cells(design, placement, rules, watch=self._seen))

    def _detailed(self, placement: Placement) -> Placement:
        from kerf.placement.detailed import improve

        if self.clock.stop.is_set():
            return placement
        return improve(
            self._padded(), placement, self.rules, seed=self.recipe.seed, threads=self.threads,
            deadline=self.clock.end, watch=self._seen,
        )  # fmt: skip

    def _proxy(self, placement: Placement) -> Placement:
        from kerf.placement.proxy_search import optimize

        placement = self._narrowed(placement)
        return optimize(
            self.design, placement, self.rules, seed=self.recipe.seed, threads=self.threads,
            deadline=self.clock.share(1.0), watch=self._seen,
        )  # fmt: skip

    def _analytic(self, placement: Placement, rules: Rules, kept: bool, part: float) -> Placement:
        from kerf.placement.analytic import GlobalOptions, place_global

        last = self.stage == "cells" or "cells" not in self.stages()
        options = GlobalOptions(
            target_density=self._density(), stop_overflow=self.recipe.stop, gamma=self.recipe.gamma,
            growth=self.recipe.growth, keep_start=kept, routability=self.recipe.inflate and last,
        )  # fmt: skip
        found = place_global(
            self.design, self._everywhere(placement) if kept else placement, rules, options, seed=self.recipe.seed, threads=self.threads,
            deadline=self.clock.share(part), watch=self._seen,
        )  # fmt: skip
        if found.note:
            self.notes.append(found.note)
        self.swell = found.swell
        return found.placement

    # Pieces

    def _padded(self) -> Design:
        """The design with the room that cells in congested places got. A run that was resumed after global placement has forgotten it."""
        from kerf.placement.legalize import padded

        if self.swell is None:
            return self.design
        return padded(self.design, self.swell, self.rules, self.recipe.seed)

    def _with_room(self, legalize: Callable[[Design], Placement]) -> Placement:
        """With that room, or half of it, or a quarter, if cells find no place; at last without."""
        for _ in range(TRIES if self.swell is not None else 0):
            assert self.swell is not None
            try:
                return legalize(self._padded())
            except KerfError:
                self.swell = 1.0 + (self.swell - 1.0) / 2
        self.swell = None
        return legalize(self.design)

    def _density(self) -> float | None:
        if self.problem.density is not None:
            return self.problem.density
        share, full = self.recipe.density, min(self.problem.utilization, 1.0)
        return None if share < 0 else full + share * (1.0 - full)

    def _movable(self, kind: Kind) -> Bools:
        return (self.design.kind == kind) & ~self.rules.fixed

    def _everywhere(self, placement: Placement) -> Placement:
        """A start with every movable cell: those without a place begin in the middle of their boxes."""
        lost = ~self.rules.fixed & ~np.isfinite(placement.x + placement.y)
        box = self.rules.box
        x = np.where(lost, (box[:, 0] + box[:, 2]) / 2, placement.x)
        return Placement(x, np.where(lost, (box[:, 1] + box[:, 3]) / 2, placement.y), placement.orient)

    def _narrowed(self, placement: Placement) -> Placement:
        """Groups and alignments get their boxes from the first placement that has every cell."""
        if self.lowered is self.problem.lowered:
            self.lowered = narrow(self.design, self.problem.constraints, self.lowered, placement)
        return placement

    def _macros_stand(self, placement: Placement) -> bool:
        """Whether the macros are where the given start has them, legal, and in their boxes."""
        macros, start = self._movable(Kind.MACRO), self.lowered.start
        if not ((placement.x == start.x) & (placement.y == start.y))[macros].all():
            return False
        alone = macros | self.rules.fixed
        there = Placement(
            np.where(alone, placement.x, np.nan), np.where(alone, placement.y, np.nan), placement.orient
        )
        found = check(self.design, there)
        boxes, own = self.rules.box[macros], np.stack(self.design.boxes(placement), axis=1)[macros]
        inside = (own[:, :2] >= boxes[:, :2] - 1e-9).all() and (own[:, 2:] <= boxes[:, 2:] + 1e-9).all()
        clear = not len(self.rules.keepouts) and not self.rules.halo.any() and len(self.rules.zones) == 1
        turned = self.rules.orients[np.flatnonzero(macros), placement.orient[macros]].all()
        return bool(not len(found.overlaps) and not len(found.out_of_die) and inside and clear and turned)

    def _inside(self, placement: Placement) -> Placement:
        """Soft macros may overlap, but have to lie in their boxes."""
        soft = self._movable(Kind.SOFT)
        if not soft.any():
            return placement
        w, h = self.design.extent(placement)
        box = self.rules.box
        x = np.where(
            soft,
            np.clip(placement.x, box[:, 0] + w / 2, np.maximum(box[:, 2] - w / 2, box[:, 0] + w / 2)),
            placement.x,
        )
        y = np.where(
            soft,
            np.clip(placement.y, box[:, 1] + h / 2, np.maximum(box[:, 3] - h / 2, box[:, 1] + h / 2)),
            placement.y,
        )
        return Placement(x, y, placement.orient)

    # The journal

    def _where_it_stood(self, names: list[str]) -> tuple[Placement, int]:
        stood = self.journal.stood(self.candidate, self.design)
        if stood is None or stood.stage not in names:
            return self.lowered.start, 0
        if stood.box is not None:
            self.lowered = replace(self.lowered, rules=replace(self.rules, box=stood.box))
        at = names.index(stood.stage)
        self.resumed = not stood.whole
        return stood.placement, at + stood.whole

    def _stand(self, placement: Placement, whole: bool) -> None:
        """What is made in a hurry after a stop is no place to go on from."""
        if not self.clock.stop.is_set():
            box = self.rules.box if self.lowered is not self.problem.lowered else None
            self.journal.stand(Standing(self.candidate, self.stage, placement, whole, box))

    def _seen(self, step: Step) -> None:
        self.journal.frame(step)
        if step.placement is not None and self.journal.due:
            self._stand(step.placement, whole=False)
        self.watch(step)
