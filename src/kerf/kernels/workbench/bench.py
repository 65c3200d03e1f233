"""The kernel domain's bench for agents (see kerf.proposers.agent.bench)."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kerf.archive import Archive
from kerf.core import temporary
from kerf.core.types import Candidate, Space
from kerf.kernels.problem import KernelProblem
from kerf.kernels.referee.build import build
from kerf.kernels.referee.candidate import package
from kerf.kernels.targets.cpu import native
from kerf.kernels.workbench import sources, telling
from kerf.kernels.workbench.tune import TuneSpace, materialized, parameters
from kerf.models.protocol import Tool
from kerf.proposers.agent.arguments import Uses, answered, schema, whole
from kerf.proposers.agent.bench import Mistake, Words
from kerf.proposers.agent.board import Board, Told
from kerf.proposers.agent.fence import fenced, shortened
from kerf.proposers.agent.lookup import NAMED, SEARCH, Lookup
from kerf.proposers.agent.wording import briefs, prompt

PACKAGE = "kerf.kernels"
BUILD_LIMIT_S = 60.0
LINES = 400
WORDS = Words(
    evaluate="built, checked and timed by the referee",
    same="comments, spacing and names",
    handed_in="the files that differ from the best candidate so far, usually `kernel.c` alone",
)


@dataclass
class KernelBench:
    """`model` is only named in what it wrote. `archive`: where other runs of the same problem are looked up."""

    problem: KernelProblem
    threads: int
    archive: Archive
    model: str
    trust: bool = False

    @cached_property
    def known(self) -> Lookup:
        return Lookup(self.archive, self.problem.name, telling.taken)

    @property
    def words(self) -> Words:
        return WORDS

    @property
    def margin(self) -> float:
        return 1.02

    @property
    def submission(self) -> Mapping[str, Any]:
        return sources.SUBMISSION

    # ------------------------------------------------------------ words

    def system(self, agent: int) -> str:
        ways = briefs(PACKAGE)
        return prompt(PACKAGE, "system", brief=ways[agent % len(ways)])

    def opening(self, board: Board) -> str:
        base = board.best
        return prompt(
            PACKAGE,
            "opening",
            problem=telling.reference(self.problem),
            chip=fenced(telling.chip_text(native(), self.threads)),
            bound=telling.bound_text(self.problem, self.threads),
            best=fenced(self.known.listing(board.ranked(5), board, "Nothing has passed yet.")),
            failed=fenced(self.known.listing(board.failed(5), board, "Nothing has failed yet.")),
            base=self._base_text(base.candidate, board) if base else "There is no candidate to start from.",
        )

    def _base_text(self, base: Candidate, board: Board) -> str:
        shown = ["kernel.c"] if "kernel.c" in base.files else sorted(base.files)
        others = [name for name in sorted(base.files) if name not in shown]
        more = (
            f"\n\nIts other files, taken over unless you replace them: {', '.join(others)}." if others else ""
        )
        return f"Candidate {board.name(base)}:\n\n{telling.sources(base, shown)}{more}"

    def verdict(self, told: Told, board: Board) -> str:
        return telling.verdict(board.name(told.candidate), told.evaluation)

    # ------------------------------------------------------------ candidates

    def candidate(self, arguments: Mapping[str, Any], board: Board) -> Candidate:
        alone = bool(arguments.get("alone"))
        base = None if alone else self._base(arguments, board)
        files = self._signed(materialized(sources.applied(arguments, base.files if base else {})), base)
        self._compiled(files)
        return Candidate(files, base.id if base else None, "agent", {})

    def _base(self, arguments: Mapping[str, Any], board: Board) -> Candidate | None:
        name = str(arguments.get("base") or "best")
        if name == "best" and board.best is None:
            return None
        return self.known.one(name, board)

    def _signed(self, files: Mapping[str, str], base: Candidate | None) -> dict[str, str]:
        """The manifest names the model as the author. The claim that all is generated code stays only with the drop-in that made
        it, and is checked when the candidate is confirmed."""
        if "manifest.json" not in files:
            return dict(files)
        try:
            manifest = json.loads(files["manifest.json"])
        except ValueError as error:
            raise Mistake(f"manifest.json is not JSON: {error}") from error
        kept = base is not None and files.get("kernel.py") == base.files.get("kernel.py")
        pieces = manifest.get("provenance") if kept else None
        signed = [
            {**p, "what": f"written by {self.model}"} if p.get("by") == "generated" else p
            for p in pieces or ()
        ]
        manifest["provenance"] = signed or [
            {"piece": "all", "by": "model", "what": f"written by {self.model}"}
        ]
        manifest["parameters"] = {p.name: p.value for p in parameters(files)}
        return {**files, "manifest.json": json.dumps(manifest, indent=1)}

    def written(self, text: str) -> Mapping[str, Any] | None:
        return sources.written(text)

    def form(self, candidate: Candidate) -> str:
        return sources.form(candidate.files)

    def variants(self, candidate: Candidate) -> Space | None:
        try:
            return TuneSpace(candidate) if parameters(candidate.files) else None
        except Mistake:
            return None

    # ------------------------------------------------------------ tools

    @cached_property
    def tools(self) -> Sequence[Tool]:
        return (
            Tool("read_reference", "The reference module, its sizes and what its inputs may be.", schema()),
            Tool("chip", "The processor: vectors, caches, measured peak and bandwidths.", schema()),
            Tool("build", "Compile a candidate without evaluating it; the compiler's messages. Free. Same arguments as evaluate.", self.submission),
            Tool("read_candidate", "Files of a candidate, or some lines of one.",
                 schema({"id": NAMED, "file": {"type": "string"}, "first_line": {"type": "integer"}, "lines": {"type": "integer"}}, "id")),
            Tool("profile", "Where a candidate's time goes: roofline, vectorization, hot loops with their bottleneck, spills, misses.",
                 schema({"id": NAMED}, "id")),
            Tool("compare", "Two candidates: measurements side by side, with `profiles` what changed between them, and the difference of their sources.", schema({"a": NAMED, "b": NAMED, "profiles": {"type": "boolean"}}, "a", "b")),
            SEARCH,
        )  # fmt: skip

    def use(self, name: str, arguments: Mapping[str, Any], board: Board) -> str:
        uses: Uses = {
            "read_reference": lambda a, b: telling.reference(self.problem),
            "chip": lambda a, b: telling.chip_text(native(), self.threads),
            "build": self._build,
            "read_candidate": self._read,
            "profile": self._profile,
            "compare": self._compare,
            "search_archive": lambda a, b: fenced(self.known.search(a, b)),
        }
        return answered(uses, name, arguments, board)

    def _build(self, arguments: Mapping[str, Any], board: Board) -> str:
        self.candidate(arguments, board)
        return "compiles"

    def _compiled(self, files: Mapping[str, str]) -> None:
        """As the referee will; what it makes is kept, so that nothing is compiled twice."""
        with temporary.folder("workbench") as folder:
            built = build(package(files), Path(folder), timeout_s=BUILD_LIMIT_S, trust=self.trust)
        if built.problem:
            raise Mistake(f"does not compile:\n{fenced(shortened(built.problem, 4_000))}")

    def _read(self, arguments: Mapping[str, Any], board: Board) -> str:
        candidate = self.known.one(str(arguments.get("id") or "best"), board)
        name = arguments.get("file")
        if name is None:
            return telling.sources(
                candidate,
                [n for n in sorted(candidate.files) if n.endswith((".c", ".h"))] or sorted(candidate.files),
            )
        if name not in candidate.files:
            raise Mistake(
                f"no file {name!r} in {board.name(candidate)}; it has {', '.join(sorted(candidate.files))}"
            )
        first = max(1, whole(arguments, "first_line", 1))
        lines = candidate.files[name].splitlines()[
            first - 1 : first - 1 + min(LINES, max(1, whole(arguments, "lines", LINES)))
        ]
        return f"`{name}` from line {first}\n{fenced(chr(10).join(lines))}"

    def _profile(self, arguments: Mapping[str, Any], board: Board) -> str:
        return str(self._profiled(self.known.one(str(arguments.get("id") or "best"), board), board).text())

    def _profiled(self, candidate: Candidate, board: Board) -> Any:
        from kerf.kernels.profile import profile_candidate

        told = board.told.get(candidate.id)
        taken = told.evaluation.metrics.get("time_s") if told else None
        known_s = taken.value if taken else None
        return profile_candidate(self.problem, candidate, self.threads, measured_s=known_s, trust=self.trust)

    def _compare(self, arguments: Mapping[str, Any], board: Board) -> str:
        a, b = (self.known.one(str(arguments.get(k) or "best"), board) for k in ("a", "b"))
        measured = [t for c in (a, b) if (t := board.told.get(c.id))]
        parts = [fenced(self.known.listing(measured, board, "neither was evaluated in this run"))]
        if arguments.get("profiles"):
            from kerf.kernels.profile import compare

            parts.append(compare(self._profiled(a, board), self._profiled(b, board)))
        return "\n\n".join([*parts, fenced(shortened(_diff(a, b), 12_000), "diff")])


def _diff(a: Candidate, b: Candidate) -> str:
    names = [n for n in sorted({*a.files, *b.files}) if n != "manifest.json"]
    return "\n".join(
        line
        for name in names
        for line in difflib.unified_diff(
            a.files.get(name, "").splitlines(),
            b.files.get(name, "").splitlines(),
            f"a/{name}",
            f"b/{name}",
            lineterm="",
            n=2,
        )
    )
