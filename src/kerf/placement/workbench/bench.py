"""The placement domain's bench for agents (see kerf.proposers.agent.bench)."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from kerf.archive import Archive
from kerf.core.types import Candidate, Evaluation, KerfError, Space
from kerf.models.protocol import Tool
from kerf.placement.constraints.cells import named
from kerf.placement.design import Kind, Placement
from kerf.placement.hpwl import hpwl
from kerf.placement.packing import unpack
from kerf.placement.problem import GOALS, PlacementProblem
from kerf.placement.proposal import WILD, proposal_of
from kerf.placement.recipe import Recipe, recipe_of
from kerf.placement.space import RecipeSpace
from kerf.placement.workbench import grids, proposing, telling
from kerf.placement.workbench.proposing import Base
from kerf.proposers.agent.arguments import Uses, answered, refused, schema, whole
from kerf.proposers.agent.bench import Mistake, Words
from kerf.proposers.agent.board import Board, Told
from kerf.proposers.agent.fence import fenced
from kerf.proposers.agent.lookup import NAMED, SEARCH, Lookup
from kerf.proposers.agent.wording import briefs, prompt

PACKAGE = "kerf.placement"
KEPT = 4
"""Unpacked placements held at a time: those of a large chip are large."""
FOUND = 40
WORDS = Words(
    evaluate="placed, checked by an independent legality check and measured",
    same="the order of what it says and the values it leaves open",
    handed_in="one file `proposal.json` in it: a JSON object with the keys `idea`, `way`, `recipe`, `constraints`, `macros` and `hold`, as described below",
)


@dataclass
class PlacementBench:
    """`space`: what a recipe leaves open. `archive`: where other runs of the same design are looked up."""

    problem: PlacementProblem
    space: RecipeSpace
    archive: Archive
    _unpacked: OrderedDict[str, Placement] = field(default_factory=OrderedDict)

    @cached_property
    def known(self) -> Lookup:
        return Lookup(self.archive, self.problem.name, _took)

    @property
    def words(self) -> Words:
        return WORDS

    @property
    def margin(self) -> float:
        return 1.002

    @cached_property
    def submission(self) -> Mapping[str, Any]:
        return proposing.submission(self.space, self.problem)

    # ------------------------------------------------------------ words

    def system(self, agent: int) -> str:
        ways = briefs(PACKAGE)
        return prompt(PACKAGE, "system", goal=GOALS[self.problem.target], brief=ways[agent % len(ways)])

    def opening(self, board: Board) -> str:
        best = board.best
        return prompt(
            PACKAGE,
            "opening",
            goal=GOALS[self.problem.target],
            chip=fenced(telling.chip(self.problem)),
            recipe=telling.recipe(self.space, self._recipe(best)),
            best=fenced(self.known.listing(board.ranked(5), board, "Nothing has passed yet.")),
            failed=fenced(self.known.listing(board.failed(5), board, "Nothing has failed yet.")),
            base=self._base_text(best, board) if best else "There is no placement to start from.",
        )

    def _recipe(self, told: Told | None) -> Recipe:
        return recipe_of(told.candidate.files) if told else Recipe.of(self.space.default())

    def _base_text(self, best: Told, board: Board) -> str:
        d, placement = self.problem.design, self._placement(best)
        return prompt(
            PACKAGE,
            "base",
            name=board.name(best.candidate),
            measures=telling.measures(self.problem, placement),
            macros=fenced(telling.macros(self.problem, placement)),
            nets=fenced(telling.longest(d, placement)),
            density=fenced(grids.grid(d, placement, "density")),
            congestion=fenced(grids.grid(d, placement, "congestion")),
        )

    def verdict(self, told: Told, board: Board) -> str:
        lines = telling.verdict(board.name(told.candidate), told.evaluation)
        if told.evaluation.score is None:
            return "\n".join(lines).rstrip()
        placement = self._placement(told)
        lines.append(telling.measures(self.problem, placement))
        base = board.told.get(told.candidate.parent or "")
        if base and base.evaluation.score is not None:
            lines.append(f"Its base {board.name(base.candidate)}: {base.evaluation.headline}.")
            lines.append(fenced(telling.moved(self.problem, self._placement(base), placement)))
        best = board.best
        if best and best.candidate.id != told.candidate.id:
            lines.append(f"The best stays {board.name(best.candidate)}: {best.evaluation.headline}.")
        return "\n".join(lines)

    # ------------------------------------------------------------ candidates

    def candidate(self, arguments: Mapping[str, Any], board: Board) -> Candidate:
        if "files" in arguments:
            arguments = {**proposing.handed_in(arguments["files"]), "base": arguments.get("base")}
        try:
            return proposing.proposed(arguments, self._base(arguments, board), self.problem, self.space)
        except KerfError as error:
            raise refused(error) from error

    def _base(self, arguments: Mapping[str, Any], board: Board) -> Base | None:
        name = str(arguments.get("base") or "best")
        if name == "best" and board.best is None:
            return None
        told = self._told(name, board)
        return Base(told.candidate, self._placement(told))

    def written(self, text: str) -> Mapping[str, Any] | None:
        return proposing.written(text)

    def form(self, candidate: Candidate) -> str:
        return proposing.form(candidate)

    def variants(self, candidate: Candidate) -> Space | None:
        return proposing.variants(candidate)

    # ------------------------------------------------------------ tools

    @cached_property
    def tools(self) -> Sequence[Tool]:
        cells = {"type": "string", "description": "A name, or a pattern with * and ?."}
        number = {"type": "integer"}
        return (
            Tool("design", "The design: sizes, die, what is asked, the user's constraints, the open values of a recipe.", schema()),
            Tool("check", "Whether a proposal can be met, and the wirelength if cells stayed where its base has them. Free. Same arguments as evaluate.", self.submission),
            Tool("macros", "Where macros are in a candidate's placement, the wire on them, and where the other ends of their nets are.", schema({"id": NAMED, "cells": cells})),
            Tool("find", "Cells by name: sizes, and where they are in a candidate's placement.", schema({"cells": cells, "id": NAMED}, "cells")),
            Tool("nets", "The longest nets of a candidate's placement, or of one cell in it.", schema({"id": NAMED, "cell": {"type": "string"}, "most": number})),
            Tool("map", f"A text grid over the die: {', '.join(grids.KINDS)}.", schema({"id": NAMED, "kind": {"type": "string", "enum": list(grids.KINDS)}, "columns": number}, "kind")),
            Tool("compare", "Two candidates' placements: metrics, macros that moved, nets that grew and shrank.", schema({"a": NAMED, "b": NAMED}, "a", "b")),
            Tool("read_candidate", "What a candidate proposed: recipe, way, constraints, macros.", schema({"id": NAMED}, "id")),
            SEARCH,
        )  # fmt: skip

    def use(self, name: str, arguments: Mapping[str, Any], board: Board) -> str:
        uses: Uses = {
            "design": self._design,
            "check": self._check,
            "macros": self._macros,
            "find": self._find,
            "nets": self._nets,
            "map": self._map,
            "compare": self._compare,
            "read_candidate": self._read,
            "search_archive": lambda a, b: fenced(self.known.search(a, b)),
        }
        return answered(uses, name, arguments, board)

    def _design(self, arguments: Mapping[str, Any], board: Board) -> str:
        return f"{fenced(telling.chip(self.problem))}\n{telling.recipe(self.space, self._recipe(board.best))}"

    def _check(self, arguments: Mapping[str, Any], board: Board) -> str:
        made = proposal_of(self.candidate(arguments, board).files)
        base = self._base(arguments, board)
        if base is None or not made.macros:
            return "can be met"
        start = made.posed(self.problem, base.placement).start
        work, per = self.problem.work, self.problem.design.per_um or 1.0
        now, then = hpwl(work, base.placement) / per, hpwl(work, start) / per
        return f"can be met. With these macros moved and every other cell as in the base, HPWL would be {then:,.6g}; it is {now:,.6g}. Cells will move, so this is a hint."

    def _macros(self, arguments: Mapping[str, Any], board: Board) -> str:
        which = None
        if pattern := arguments.get("cells"):
            kinds = self.problem.design.kind
            which = [i for i in self._cells(str(pattern)) if kinds[i] in (Kind.MACRO, Kind.SOFT)]
        return fenced(telling.macros(self.problem, self._of(arguments, board), which))

    def _find(self, arguments: Mapping[str, Any], board: Board) -> str:
        design, placement = self.problem.design, self._of(arguments, board)
        cells = self._cells(str(arguments.get("cells") or "*"))
        boxes, per = np.stack(design.boxes(placement), axis=1), design.per_um or 1.0
        lines = [
            f"{telling.name(design.cell_names[c])}: {Kind(design.kind[c]).name.lower()}, {' '.join(f'{v / per:g}' for v in boxes[c])}"
            for c in cells[:FOUND]
        ]
        more = f"\nand {len(cells) - FOUND} more" if len(cells) > FOUND else ""
        return fenced("cell: kind, left bottom right top\n" + "\n".join(lines) + more)

    def _nets(self, arguments: Mapping[str, Any], board: Board) -> str:
        cell = arguments.get("cell")
        of = int(self._cells(str(cell))[0]) if cell else None
        most = max(1, min(FOUND, whole(arguments, "most", telling.NETS)))
        return fenced(telling.longest(self.problem.design, self._of(arguments, board), of, most))

    def _map(self, arguments: Mapping[str, Any], board: Board) -> str:
        columns = whole(arguments, "columns", grids.COLUMNS)
        kind = str(arguments.get("kind") or "density")
        return fenced(grids.grid(self.problem.design, self._of(arguments, board), kind, columns))

    def _compare(self, arguments: Mapping[str, Any], board: Board) -> str:
        a, b = (self._told(str(arguments.get(k) or "best"), board) for k in ("a", "b"))
        rows = self.known.listing([a, b], board, "")
        return fenced(f"{rows}\n\n{telling.compared(self.problem, self._placement(a), self._placement(b))}")

    def _read(self, arguments: Mapping[str, Any], board: Board) -> str:
        files = self.known.one(str(arguments.get("id") or "best"), board).files
        return "\n\n".join(f"`{name}`\n{fenced(text, 'json')}" for name, text in sorted(files.items()))

    # ------------------------------------------------------------ placements

    def _told(self, name: str, board: Board) -> Told:
        """Of this run, with a placement. Mistake where there is none."""
        told = board.find(name)
        if told is None or "placement" not in told.evaluation.detail:
            known = ", ".join(board.name(t.candidate) for t in board.ranked(5)) or "none has passed yet"
            why = "is not of this run" if told is None else "did not pass, and its placement was not kept"
            raise Mistake(f"candidate {name!r} {why}. The best: {known}.")
        return told

    def _of(self, arguments: Mapping[str, Any], board: Board) -> Placement:
        return self._placement(self._told(str(arguments.get("id") or "best"), board))

    def _placement(self, told: Told) -> Placement:
        key = told.candidate.id
        if key not in self._unpacked:
            self._unpacked[key] = unpack(str(told.evaluation.detail["placement"]), self.problem.design)
        self._unpacked.move_to_end(key)
        while len(self._unpacked) > KEPT:
            self._unpacked.popitem(last=False)
        return self._unpacked[key]

    def _cells(self, pattern: str) -> list[int]:
        if len(re.findall(r"[*?]", pattern)) > WILD:
            raise Mistake(f"at most {WILD} wild cards in a name")
        return [int(i) for i in named(self.problem.design, [pattern], "the pattern")]


def _took(evaluation: Evaluation) -> str:
    return f", {evaluation.seconds:.1f} s"
