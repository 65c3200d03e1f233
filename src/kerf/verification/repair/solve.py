"""The fewest changes that make a design do what a table says: the instrumented graph over time as clauses, changes counted, candidates simulated.

Counterexample-guided (Solar-Lezama et al., ASPLOS 2006): clauses cover the first rows up to the first failure; a candidate that fails in simulation later,
or with other initial values, adds the rows up to there. For long tables they begin near the failure, in the state that simulation of the unchanged
design is in, and further back when that does not do (adaptive windows, Laeufer et al., ASPLOS 2024).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kerf.verification.graph import Graph, Node
from kerf.verification.repair.change import Change, Pick
from kerf.verification.repair.narrow import relevant, specialized
from kerf.verification.repair.play import Played, Run, Unknowns, play

CHEAP = 200_000  # nodes times frames: up to here all rows from the start are taken
AFFORDABLE = 4_000_000  # the most at all
SURE = 3  # changes, before it is asked whether any number would do
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

    @property
    def distance(self) -> int:
        """Bits in which constants differ from the source's."""
        return sum(
            (self.values.get(n, 0) ^ near).bit_count() for c in self.changes for n, near in c.near.items()
        )


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
    """Rows that clauses cover for one lane."""

    lane: int
    origin: int
    done: int  # the next frame
    state: dict[int, int]


@dataclass(frozen=True)
class Stage:
    """A graph with the holes of some changes, and the run on it."""

    graph: Graph
    run: Run
    holes: Holes
    changes: tuple[Change, ...]


class Solver:
    """`run` makes a table's frames for a graph with holes (given their input nodes). Every choice that `choices` gives passes the whole run, on the
    instrumented graph, in at least MOST_LANES of the 64 lanes of `unknowns`."""

    def __init__(self, graph: Graph, run: Callable[[Graph, Sequence[int]], Run], changes: Sequence[Change], unknowns: Unknowns,
                 deadline: float) -> None:  # fmt: skip
        self.make, self.unknowns, self.deadline = run, unknowns, deadline
        holes = Holes.of(graph, changes)
        kept = tuple(c for c in changes if any(holes.bits.get(c.enable, [[]])))
        self.whole = Stage(graph, run(graph, sorted(holes.nodes)), holes, kept)
        self.changes = kept
        plain = specialized(graph, holes.assigned({}))
        self.none = play(plain, run(plain, ()), unknowns, whole=True)
        self.exhausted = False  # whether the answer is final: no more changes of this plan would do
        self.simulated = 0

    @property
    def late(self) -> bool:
        return time.monotonic() > self.deadline

    def choices(self, least: int, most: int, wanted: int = 8) -> Iterator[Choice]:
        """Choices with fewest changes first, `least` to `most` changes each; nothing when the run passes unchanged."""
        if self.none.passed or not self.changes:
            self.exhausted = not self.changes
            return
        frames = self.frames_to(self.none.row)
        origin = self.origin(frames - 1)
        size, length = len(self.whole.graph), frames - origin
        widths = [w for w in WINDOWS if w < length - 1 and length * size > CHEAP] or [length - 1]
        widths += [length - 1] if length * size < AFFORDABLE and widths[-1] < length - 1 else []
        for sizes in (
            (range(1, 2), range(max(least, 2), most + 1)) if least == 1 else (range(least, most + 1),)
        ):
            for window in widths if sizes else ():
                yield from self._windowed(frames - 1 - window, frames, sizes, wanted)
                if self.late or self.simulated:
                    return

    def frames_to(self, row: int) -> int:
        """How many frames cover the rows up to `row`."""
        return 1 + max(i for i, f in enumerate(self.whole.run.frames) if f.row <= row)

    def origin(self, frame: int) -> int:
        """The frame of the last power-up up to `frame`."""
        return max(i for i in range(frame + 1) if self.whole.run.frames[i].restart)

    def _windowed(self, begin: int, frames: int, sizes: range, wanted: int) -> Iterator[Choice]:
        """Choices of `sizes` numbers of changes that do for the frames from `begin` on."""
        stage = self._alone(begin, frames) if sizes[-1] == 1 else self.whole
        if not stage.changes:
            return
        attempt = _Attempt(self, stage, begin, frames)
        try:
            for limit in sizes:
                if limit == SURE and not attempt.possible():
                    break
                for choice in attempt.within(limit, wanted - self.simulated):
                    self.simulated += 1
                    yield choice
                if self.late or self.simulated:
                    return
            self.exhausted = begin == self.origin(begin) and sizes[-1] > 1
        finally:
            attempt.clauses.solver.delete()

    def _alone(self, begin: int, frames: int) -> Stage:
        """The changes that may, each alone, do for the last of `frames`; the others are out."""
        whole, lane = self.whole, self.none.lane
        candidates = [c for c in whole.changes if not c.needs]
        rows = [self._inputs_of(c) for c in candidates]
        seen = [(whole.run.frames[t], self.free(whole.run, t, lane)) for t in range(begin, frames)]
        able = relevant(whole.graph, self.start(whole.graph, begin, lane), seen, rows)
        chosen = tuple(c for c, a in zip(candidates, able) if a)
        kept = {n for c in chosen for n in c.names}
        others = {n: 0 for name, bits in whole.holes.bits.items() if name not in kept for row in bits for n in row}  # fmt: skip
        graph = specialized(whole.graph, others)
        holes = Holes.of(graph, chosen)
        chosen = tuple(c for c in chosen if any(holes.bits.get(c.enable, [[]])))
        return Stage(graph, self.make(graph, sorted(holes.nodes)), holes, chosen)

    def _inputs_of(self, change: Change) -> tuple[list[int], list[int]]:
        bits = self.whole.holes.bits
        enable = [n for row in bits[change.enable] for n in row]
        return enable, [n for name in change.names if name != change.enable for row in bits.get(name, ()) for n in row]  # fmt: skip

    def start(self, graph: Graph, begin: int, lane: int) -> dict[int, int]:
        """Latch -> 0 or 1 before frame `begin`, in a run without changes."""
        states = self.none.states[begin] if begin < len(self.none.states) else self.unknowns.start(graph)
        return {n: int(v >> np.uint64(lane)) & 1 for n, v in zip(graph.latches, states, strict=True)}

    def free(self, run: Run, frame: int, lane: int) -> dict[int, int]:
        values = self.unknowns.inputs(run, frame)
        return {n: int(v >> np.uint64(lane)) & 1 for n, v in zip(run.free, values, strict=True)}

    def played(self, stage: Stage, choice: Choice) -> Played:
        values = dict(choice.values) | {c.enable: 1 for c in choice.changes}
        graph = specialized(stage.graph, stage.holes.assigned(values))
        return play(graph, self.make(graph, ()), self.unknowns)


class _Attempt:
    def __init__(self, owner: Solver, stage: Stage, begin: int, frames: int) -> None:
        self.owner, self.stage = owner, stage
        roots = [b for f in stage.run.frames for b, _ in f.expected]
        self.variables: dict[str, list[int]] = {}
        fixed: dict[int, int] = {}
        count = 1
        for name, rows in stage.holes.bits.items():
            row = self.variables[name] = []
            for nodes in rows:
                count += 1
                row.append(count)
                fixed.update(dict.fromkeys(nodes, count))
        self.clauses = Clauses(stage.graph, sorted(set(roots)), fixed)
        self.clauses.count = count
        self.begin = begin
        self.scenes: list[_Scene] = []
        self.enables = [self.variables[c.enable][0] for c in stage.changes]
        self._structure()
        self.totals: Any = None
        self._cover(owner.none.lane, frames)

    def _structure(self) -> None:
        add = self.clauses.solver.add_clause
        for change in self.stage.changes:
            if change.needs and change.needs in self.variables:
                add([-self.variables[change.enable][0], self.variables[change.needs][0]])
            for pick in change.picks:
                self._bound(pick)

    def _bound(self, pick: Pick) -> None:
        """An index past the end of its list is no choice."""
        bits = self.variables.get(pick.index, [])
        for value in range(pick.count, 1 << len(bits)):
            self.clauses.solver.add_clause([-v if value >> i & 1 else v for i, v in enumerate(bits)])

    def _cover(self, lane: int, frames: int) -> None:
        """Add the rows up to `frames` for a lane."""
        graph, run = self.stage.graph, self.stage.run
        origin = self.owner.origin(frames - 1)
        scene = next((s for s in self.scenes if (s.lane, s.origin) == (lane, origin)), None)
        if scene is None:
            begin = self.begin if origin == self.owner.origin(self.begin) else origin
            start = self.owner.start(graph, begin, lane)
            scene = _Scene(lane, origin, begin, {n: 1 if v else -1 for n, v in start.items()})
            self.scenes.append(scene)
        frames = min(frames, scene.done + max(AFFORDABLE // len(graph), 1))
        while scene.done < frames and not self.owner.late:
            frame = run.frames[scene.done]
            value = self.clauses.frame(scene.state, {**frame.known, **self.owner.free(run, scene.done, lane)})
            for bit, wanted in frame.expected:
                literal = -value[bit >> 1] if bit & 1 else value[bit >> 1]
                self.clauses.solver.add_clause([literal if wanted else -literal])
            if frame.clocks:
                scene.state = self.clauses.next(value)
            scene.done += 1

    def possible(self) -> bool:
        return self._solve([])

    def _solve(self, assumptions: Sequence[int]) -> bool:
        return bool(self.clauses.solver.solve(assumptions=list(assumptions)))

    def _at_most(self, limit: int) -> list[int]:
        from pysat.card import ITotalizer

        if self.totals is None:
            made = ITotalizer(lits=self.enables, ubound=min(12, len(self.enables)), top_id=self.clauses.count)
            self.clauses.count = made.top_id
            for clause in made.cnf.clauses:
                self.clauses.solver.add_clause(clause)
            self.totals = made
        bounds = self.totals.rhs
        return [-bounds[limit]] if limit < len(bounds) else []

    def within(self, limit: int, wanted: int) -> Iterator[Choice]:
        """Choices of at most `limit` changes that pass in simulation."""
        found = 0
        bound = self._at_most(limit)
        while found < wanted and self._solve(bound):
            choice = self._nearest(bound)
            played = self.owner.played(self.stage, choice)
            if played.share >= MOST_LANES:
                found += 1
                self._block(choice)
                yield replace(choice, share=played.share)
            elif (self.begin and played.row < self.stage.run.frames[self.begin].row) or not self._extend(
                played.lane, played.row
            ):
                self._block(choice)

    def _extend(self, lane: int, row: int) -> bool:
        """Whether rows were added that exclude the last candidate."""
        frames = self.owner.frames_to(row)
        before = [(s.lane, s.origin, s.done) for s in self.scenes]
        self._cover(lane, frames)
        return before != [(s.lane, s.origin, s.done) for s in self.scenes]

    def _nearest(self, bound: Sequence[int]) -> Choice:
        """The solver's model, its constants brought near the source's."""
        true = self._true()
        changes = [c for c in self.stage.changes if self.variables[c.enable][0] in true]
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
