"""The fewest changes that make a design do what a table says: the instrumented graph over time as clauses, changes counted, candidates simulated.

Counterexample-guided (Solar-Lezama et al., ASPLOS 2006): clauses cover the first rows up to the first failure; a candidate that fails in simulation later,
or with other initial values, adds the rows up to there. For long tables they begin near the failure, in the state that simulation of the unchanged
design is in, and further back when that does not do (adaptive windows, Laeufer et al., ASPLOS 2024).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kerf.verification.graph import Graph, Node
from kerf.verification.repair.change import Change, Pick
from kerf.verification.repair.play import Run, Unknowns, play

AFFORDABLE = 3_000_000  # nodes times frames from the start, before windows are used
# a simulator takes `if (x)` for false, and a table recorded so holds for most initial values only
MOST_LANES = 0.8
WINDOWS = (0, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Choice:
    """Changes to make, and the values of their holes; `share` of the lanes pass with them."""

    changes: tuple[Change, ...]
    values: Mapping[str, int]
    share: float = 1.0

    @property
    def weight(self) -> int:
        return sum(c.weight for c in self.changes)


@dataclass
class Holes:
    """Wires of the instrumented graph that changes own: name -> for each bit the input nodes that carry it, one an instance."""

    bits: dict[str, list[list[int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph, changes: Sequence[Change]) -> Holes:
        names = {n: w for c in changes for n, w in c.names.items()}
        found: dict[str, list[list[int]]] = {}
        for name, signal in graph.signals.items():
            last = name.rpartition(".")[2]
            if last in names:
                rows = found.setdefault(last, [[] for _ in range(names[last])])
                for row, bit in zip(rows, signal.bits):
                    if graph.kind[bit >> 1] == Node.INPUT:
                        row.append(bit >> 1)
        return cls(found)

    @property
    def nodes(self) -> set[int]:
        return {n for rows in self.bits.values() for row in rows for n in row}

    def assigned(self, values: Mapping[str, int]) -> dict[int, int]:
        """Input node -> value; holes without one are 0."""
        return {
            n: values.get(name, 0) >> i & 1
            for name, rows in self.bits.items()
            for i, row in enumerate(rows)
            for n in row
        }


class Clauses:
    """Frames of a graph as clauses, with constants folded and equal gates shared."""

    def __init__(self, graph: Graph, roots: Sequence[int], fixed: Mapping[int, int]) -> None:
        from pysat.solvers import Solver

        self.graph = graph
        self.solver = Solver(name="cadical195")
        self.solver.add_clause([1])
        self.count = 1
        self.fixed = fixed  # input node -> the solver's variable, the same in all frames
        cone = graph.cone(roots)
        self.ands = [n for n in cone if graph.kind[n] == Node.AND]
        self.sides = [(n, graph.left[n], graph.right[n]) for n in self.ands]
        self.inputs = [n for n in cone if graph.kind[n] == Node.INPUT]
        self.latches = [n for n in cone if graph.kind[n] == Node.LATCH]
        self.shared: dict[tuple[int, int], int] = {}

    def variable(self) -> int:
        self.count += 1
        return self.count

    def frame(self, state: Mapping[int, int], known: Mapping[int, int]) -> dict[int, int]:
        """The solver's literals of all nodes in one frame, from those of the latches and the inputs' values."""
        value: dict[int, int] = {0: -1}
        value.update((n, state[n]) for n in self.latches)
        for n in self.inputs:
            value[n] = self.fixed[n] if n in self.fixed else (1 if known[n] else -1)
        shared, add = self.shared, self.solver.add_clause
        for node, left, right in self.sides:
            x, y = value[left >> 1], value[right >> 1]
            if left & 1:
                x = -x
            if right & 1:
                y = -y
            if x == -1 or y == -1 or x == -y:
                value[node] = -1
            elif x == 1 or x == y:
                value[node] = y
            elif y == 1:
                value[node] = x
            else:
                key = (x, y) if x < y else (y, x)
                v = shared.get(key)
                if v is None:
                    self.count += 1
                    v = shared[key] = self.count
                    add([-v, x])
                    add([-v, y])
                    add([v, -x, -y])
                value[node] = v
        return value

    def next(self, value: Mapping[int, int]) -> dict[int, int]:
        left = self.graph.left
        return {n: -value[left[n] >> 1] if left[n] & 1 else value[left[n] >> 1] for n in self.latches}


@dataclass
class _Scene:
    """Rows that clauses cover for one lane, from frame `begin` on."""

    lane: int
    begin: int
    done: int  # the next frame
    state: dict[int, int]


class Solver:
    """`rows` of the run decide; every choice that `choices` gives passes the whole run in all 64 lanes of `unknowns`, on the instrumented graph."""

    def __init__(
        self, graph: Graph, run: Run, changes: Sequence[Change], unknowns: Unknowns, deadline: float
    ) -> None:
        self.graph, self.run, self.unknowns, self.deadline = graph, run, unknowns, deadline
        self.holes = Holes.of(graph, changes)
        self.changes = [c for c in changes if any(self.holes.bits.get(c.enable, [[]]))]
        self.none = play(graph, run, unknowns, self.holes.assigned({}), whole=True)
        self.exhausted = False  # whether the answer is final: no more changes of this plan would do
        self.simulated = 0

    @property
    def late(self) -> bool:
        return time.monotonic() > self.deadline

    def choices(self, most: int, wanted: int = 8) -> Iterator[Choice]:
        """Choices with fewest changes first, at most `most` changes each; nothing when the run passes unchanged."""
        if self.none.passed:
            return
        first = self.none.row
        frames = self._frames_to(first)
        whole = len(self.graph) * frames < AFFORDABLE
        for window in (frames,) if whole else WINDOWS:
            yield from self._windowed(max(0, frames - 1 - window), frames, most, wanted)
            if self.late or self.simulated >= wanted:
                return

    def _frames_to(self, row: int) -> int:
        """How many frames cover the rows up to `row`."""
        return 1 + max(i for i, f in enumerate(self.run.frames) if f.row <= row)

    def _windowed(self, begin: int, frames: int, most: int, wanted: int) -> Iterator[Choice]:
        attempt = _Attempt(self, begin, frames)
        try:
            for limit in range(1, most + 1):
                if not attempt.possible():
                    self.exhausted = begin == 0
                    return
                for choice in attempt.within(limit, wanted - self.simulated):
                    self.simulated += 1
                    yield choice
                if self.late or self.simulated:
                    return
        finally:
            attempt.clauses.solver.delete()


class _Attempt:
    def __init__(self, owner: Solver, begin: int, frames: int) -> None:
        self.owner, graph = owner, owner.graph
        roots = [b for f in owner.run.frames for b, _ in f.expected]
        self.variables: dict[str, list[int]] = {}
        fixed: dict[int, int] = {}
        count = 1
        for name, rows in owner.holes.bits.items():
            row = self.variables[name] = []
            for nodes in rows:
                count += 1
                row.append(count)
                fixed.update(dict.fromkeys(nodes, count))
        self.clauses = Clauses(graph, sorted(set(roots)), fixed)
        self.clauses.count = count
        self.begin = begin
        self.scenes: list[_Scene] = []
        self.enables = [self.variables[c.enable][0] for c in owner.changes]
        for change in owner.changes:
            if change.needs and change.needs in self.variables:
                self.clauses.solver.add_clause(
                    [-self.variables[change.enable][0], self.variables[change.needs][0]]
                )
        for pick in (p for c in owner.changes for p in c.picks):
            self._bound(pick)
        self.totals: object | None = None
        self._cover(owner.none.lane if begin == 0 else 0, frames)

    def _bound(self, pick: Pick) -> None:
        """An index past the end of its list is no choice."""
        bits = self.variables.get(pick.index, [])
        for value in range(pick.count, 1 << len(bits)):
            self.clauses.solver.add_clause([-v if value >> i & 1 else v for i, v in enumerate(bits)])

    def _cover(self, lane: int, frames: int) -> None:
        """Add the rows up to `frames` for a lane."""
        scene = next((s for s in self.scenes if s.lane == lane), None)
        if scene is None:
            scene = _Scene(lane, self.begin, self.begin, self._start(lane))
            self.scenes.append(scene)
        run = self.owner.run
        while scene.done < frames and not self.owner.late:
            frame = run.frames[scene.done]
            free = self.owner.unknowns.inputs(run, scene.done)
            known = dict(frame.known) | {n: int(v >> np.uint64(lane)) & 1 for n, v in zip(run.free, free)}
            value = self.clauses.frame(scene.state, known)
            for bit, wanted in frame.expected:
                literal = -value[bit >> 1] if bit & 1 else value[bit >> 1]
                self.clauses.solver.add_clause([literal if wanted else -literal])
            if frame.clocks:
                scene.state = self.clauses.next(value)
            scene.done += 1

    def _start(self, lane: int) -> dict[int, int]:
        graph = self.owner.graph
        if self.begin:
            states = self.owner.none.states[self.begin]
        else:
            states = (self.owner.unknowns.start(graph) >> np.uint64(lane)) & np.uint64(1)
        return {n: 1 if v else -1 for n, v in zip(graph.latches, states)}

    def possible(self) -> bool:
        return self._solve([])

    def _solve(self, assumptions: Sequence[int]) -> bool:
        solver = self.clauses.solver
        left = self.owner.deadline - time.monotonic()
        if left <= 0:
            return False
        return bool(solver.solve(assumptions=list(assumptions)))

    def _at_most(self, limit: int) -> list[int]:
        from pysat.card import ITotalizer

        if self.totals is None:
            made = ITotalizer(lits=self.enables, ubound=min(12, len(self.enables)), top_id=self.clauses.count)
            self.clauses.count = made.top_id
            for clause in made.cnf.clauses:
                self.clauses.solver.add_clause(clause)
            self.totals = made
        bounds = self.totals.rhs  # type: ignore[attr-defined]
        return [-bounds[limit]] if limit < len(bounds) else []

    def within(self, limit: int, wanted: int) -> Iterator[Choice]:
        """Choices of at most `limit` changes that pass in simulation."""
        found = 0
        bound = self._at_most(limit)
        while found < wanted and self._solve(bound):
            choice = self._nearest(bound)
            played = play(self.owner.graph, self.owner.run, self.owner.unknowns, self.owner.holes.assigned(self._all(choice)))  # fmt: skip
            if played.share >= MOST_LANES:
                found += 1
                self._block(choice)
                yield replace(choice, share=played.share)
            elif self.begin and played.row < self.owner.run.frames[self.begin].row:
                self._block(choice)
            elif not self._extend(played.lane, played.row):
                self._block(choice)

    def _extend(self, lane: int, row: int) -> bool:
        """Whether rows were added that exclude the last candidate."""
        lane = lane if self.begin == 0 else 0
        frames = self.owner._frames_to(row)
        before = [(s.lane, s.done) for s in self.scenes]
        self._cover(lane, frames)
        return before != [(s.lane, s.done) for s in self.scenes]

    def _all(self, choice: Choice) -> dict[str, int]:
        return dict(choice.values) | {c.enable: 1 for c in choice.changes}

    def _nearest(self, bound: Sequence[int]) -> Choice:
        """The solver's model, its constants brought near the source's."""
        true = self._true()
        changes = [c for c in self.owner.changes if self.variables[c.enable][0] in true]
        fixed = [*bound, *(v if v in true else -v for v in self.enables)]
        for change in changes:
            for name in change.names:
                bits = self.variables.get(name, [])
                for i, v in enumerate(bits):
                    if name in change.near:
                        like = v if change.near[name] >> i & 1 else -v
                        if (v in true) == (like > 0) or self._solve([*fixed, like]):
                            fixed.append(like)
                            true = self._true() if (v in true) != (like > 0) else true
                        else:
                            fixed.append(-like)
                    else:
                        fixed.append(v if v in true else -v)
        self._solve(fixed)
        true = self._true()
        values = {
            n: sum((v in true) << i for i, v in enumerate(self.variables.get(n, [])))
            for c in changes
            for n in c.names
        }
        return Choice(tuple(changes), values)

    def _true(self) -> set[int]:
        return {v for v in self.clauses.solver.get_model() if v > 0}

    def _block(self, choice: Choice) -> None:
        """Not these changes with these words again; other constants in the same place are no other repair."""
        clause = [-self.variables[c.enable][0] for c in choice.changes]
        for change in choice.changes:
            for name in change.names:
                if name not in change.near and name != change.enable:
                    for i, v in enumerate(self.variables.get(name, [])):
                        clause.append(-v if choice.values[name] >> i & 1 else v)
        self.clauses.solver.add_clause(clause)
