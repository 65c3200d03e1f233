"""Covergroups (IEEE 1800, chapter 19) with a clocking event, as bins: value bins, arrays of them, wildcards, transitions, ignored and illegal values,
automatic bins, guards, and crosses of whole coverpoints. What else a group has is named in a note, and left out.

A bin of a group is covered when any instance of its module covers it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kerf.verification.coverage.bins import Bin, cross, within
from kerf.verification.coverage.constants import constant_of, literal, syntax_of
from kerf.verification.coverage.syntax import Text, name_of
from kerf.verification.design import Design
from kerf.verification.graph import FALSE, TRUE, Graph

AUTOMATIC = 64  # bins of a coverpoint without any (auto_bin_max)
MOST_VALUES = 1 << 12  # of a wildcard

Range = tuple[int, int]  # both ends included
Row = tuple[tuple[Range, ...], ...]  # values that follow each other


@dataclass(frozen=True)
class Point:
    """A coverpoint: `wire` has its value, `guard` (or "") its condition, in every instance. `bins`: name -> rows, each values in a sequence."""

    name: str
    source: str
    wire: str
    guard: str
    bins: tuple[tuple[str, tuple[Row, ...]], ...]


@dataclass(frozen=True)
class Cross:
    name: str
    source: str
    points: tuple[str, ...]
    guard: str


@dataclass
class Groups:
    points: list[Point] = field(default_factory=list)
    crosses: list[Cross] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Unsupported(Exception):
    """A form of a bin that has no translation."""


def read_groups(design: Design, texts: Sequence[Text], wire: Any) -> Groups:
    """The covergroups of `design`; writes wires for what they sample into `texts` (one for each source), in place of the groups, their instances and
    calls of sample(), which are not for synthesis. `wire(kind)` gives fresh names."""
    made, gone = Groups(), {}

    def visit(node: Any) -> None:
        name, syntax = name_of(node), getattr(node, "syntax", None)
        if name == "VariableSymbol" and syntax is not None and node.type.isCovergroup:
            syntax = syntax.parent
        elif name == "CallExpression" and "." in str(syntax) and _of_group(node):
            syntax = node.syntax
        elif name != "CovergroupType" or syntax is None:
            return
        text = next((t for t in texts if t.span(syntax)), None)
        place = (id(text), text.span(syntax) if text else None)
        if text is not None and place not in gone:
            gone[place] = text, syntax
            if name == "CovergroupType":
                _Reader(text, made, wire).group(node)

    design.root.visit(visit)
    for text, syntax in gone.values():
        text.blank(syntax)
    return made


def _of_group(call: Any) -> bool:
    this = getattr(call, "thisClass", None)
    return this is not None and bool(this.type.isCovergroup)


@dataclass
class _Reader:
    text: Text
    made: Groups
    wire: Any

    def group(self, node: Any) -> None:
        event = node.coverageEvent
        if event is None or name_of(event) != "SignalEventControl":
            self._note(
                node.syntax,
                f"covergroup {node.name} has no clocking event: sample() is not supported, give it @(posedge clock)",
            )
            return
        for member in node.body:
            try:
                if name_of(member) == "CoverpointSymbol":
                    self._point(node, member)
                elif name_of(member) == "CoverCrossSymbol":
                    self._cross(node, member)
            except Unsupported as why:
                self._note(member.syntax, f"{node.name}.{member.name}: {why}")

    def _note(self, syntax: Any, text: str) -> None:
        self.made.notes.append(f"{self.text.where(syntax)}: {text}")

    def _wire(self, group: Any, expression: Any, kind: str) -> str:
        said = self.text.said(syntax_of(expression))
        if not said:
            raise Unsupported("its expression comes from a macro")
        name = str(self.wire(kind))
        width = f"[$bits({said})-1:0] " if kind == "v" else ""
        value = said if kind == "v" else f"|({said})"
        self.text.before(group.syntax, f"(* keep *) wire {width}{name}; assign {name} = {value}; ")
        return name

    def _guard(self, group: Any, node: Any) -> str:
        return self._wire(group, node.iffExpr, "i") if node.iffExpr is not None else ""

    def _point(self, group: Any, node: Any) -> None:
        width = int(node.type.bitWidth)
        bins = tuple(_bins_of(node, width))
        wire, guard = self._wire(group, node.coverageExpr, "v"), self._guard(group, node)
        self.made.points.append(
            Point(
                f"{group.name}.{node.name}", self.text.where(node.syntax or group.syntax), wire, guard, bins
            )
        )

    def _cross(self, group: Any, node: Any) -> None:
        if any(name_of(b) == "CoverageBinSymbol" for body in node if name_of(body) == "CoverCrossBodySymbol" for b in body):  # fmt: skip
            raise Unsupported("bins of a cross (binsof) are not supported: cross whole coverpoints")
        points = tuple(f"{group.name}.{t.name}" for t in node.targets)
        if missing := [p for p in points if p not in {q.name for q in self.made.points}]:
            raise Unsupported(f"{missing[0]} is not supported")
        self.made.crosses.append(
            Cross(f"{group.name}.{node.name}", self.text.where(node.syntax), points, self._guard(group, node))
        )


def _bins_of(point: Any, width: int) -> Iterator[tuple[str, tuple[Row, ...]]]:
    members = [m for m in point if name_of(m) == "CoverageBinSymbol"]
    kinds = {m.name: str(m.binsKind).rpartition(".")[2] for m in members}
    away = [r for m in members if kinds[m.name] != "Bins" for r in _ranges(m, width)]
    wanted = [m for m in members if kinds[m.name] == "Bins" and not (m.isDefault or m.isDefaultSequence)]
    if not any(k == "Bins" for k in kinds.values()):
        yield from ((f"auto[{n}]", (((r,),),)) for n, r in _automatic(point, width) if _without([r], away))
    for m in wanted:
        if m.iffExpr is not None or m.withExpr is not None or m.setCoverageExpr is not None:
            raise Unsupported(f"bins {m.name}: iff, with and sets made by expressions are not supported")
        if not list(m.values):
            yield from _sequences(m)
            continue
        left = _without(_ranges(m, width), away)
        if not m.isArray:
            if left:
                yield m.name, ((tuple(left),),)
        elif m.numberOfBinsExpr is None:
            for value in _values(left):
                yield f"{m.name}[{value}]", ((((value, value),),),)
        else:
            yield from _shared(m.name, list(_values(left)), constant_of(m.numberOfBinsExpr) or 1)


def _automatic(point: Any, width: int) -> Iterator[tuple[str, Range]]:
    of = point.coverageExpr
    while hasattr(of, "operand"):
        of = of.operand
    if of.type.isEnum:
        for member in of.type.canonicalType:
            value = int(member.value.convertToInt().value)
            yield member.name, (value, value)
        return
    count = min(1 << width, AUTOMATIC)
    size = (1 << width) // count
    for i in range(count):
        low, high = i * size, (i + 1) * size - 1
        yield (str(low) if size == 1 else f"{low}:{high}"), (low, high)


def _shared(name: str, values: list[int], count: int) -> Iterator[tuple[str, tuple[Row, ...]]]:
    """`count` bins with as many values each; the last takes what is left over."""
    size = max(len(values) // count, 1)
    for i in range(min(count, len(values))):
        part = values[i * size : (i + 1) * size if i < count - 1 else None]
        yield f"{name}[{i}]", ((tuple((v, v) for v in part),),)


def _ranges(of: Any, width: int) -> list[Range]:
    if not list(of.values) and not (of.isDefault or of.isDefaultSequence):
        raise Unsupported(f"bins {of.name}: ignored and illegal transitions are not supported")
    return [r for v in of.values for r in _range(v, of, width)]


def _range(value: Any, of: Any, width: int) -> list[Range]:
    if of.isWildcard:
        return _wild(str(syntax_of(value)).strip(), of.name)
    top = (1 << width) - 1
    if name_of(value) == "ValueRangeExpression":
        ends = [0 if e == 0 and "Unbounded" in name_of(x) else constant_of(x) for e, x in enumerate((value.left, value.right))]  # fmt: skip
        low, high = ends[0], top if "Unbounded" in name_of(value.right) else ends[1]
    else:
        low = high = constant_of(value)
    if low is None or high is None:
        raise Unsupported(f"bins {of.name}: {syntax_of(value)} is no constant")
    return [(low & top, high & top)]


def _wild(text: str, name: str) -> list[Range]:
    """The numbers that a binary pattern with ? stands for."""
    base, _, digits = text.lower().partition("'")[2].lstrip("s").partition("b")
    digits = digits.replace("_", "").replace("z", "?").replace("x", "?")
    if base or not digits or set(digits) - set("01?") or 1 << digits.count("?") > MOST_VALUES:
        raise Unsupported(f"bins {name}: wildcards are binary, of at most {MOST_VALUES} values")
    found = [""]
    for digit in digits:
        found = [f + d for f in found for d in ("01" if digit == "?" else digit)]
    return [(int(f, 2), int(f, 2)) for f in found]


def _without(ranges: Sequence[Range], away: Sequence[Range]) -> list[Range]:
    left = list(ranges)
    for low, high in away:
        cut = [((a, min(b, low - 1)), (max(a, high + 1), b)) for a, b in left]
        left = [r for pair in cut for r in dict.fromkeys(pair) if r[0] <= r[1]]
    return left


def _values(ranges: Sequence[Range]) -> Iterator[int]:
    if sum(b - a + 1 for a, b in ranges) > MOST_VALUES:
        raise Unsupported(f"an array of more than {MOST_VALUES} bins")
    yield from dict.fromkeys(v for a, b in ranges for v in range(a, b + 1))


def _sequences(of: Any) -> Iterator[tuple[str, tuple[Row, ...]]]:
    """Transitions: a row for each set of steps."""
    rows = []
    for steps in (s for s in of.syntax.initializer.sets if name_of(s) == "TransSetSyntax"):
        ranges = [r for r in steps.ranges if name_of(r) == "TransRangeSyntax"]
        if any(r.repeat is not None for r in ranges):
            raise Unsupported(f"bins {of.name}: repetitions in transitions are not supported")
        rows.append(tuple(tuple(_step(i, of.name)) for r in ranges for i in [r.items]))
    if not of.isArray:
        yield of.name, tuple(rows)
        return
    for row in rows:
        for way in _ways(row):
            yield f"{of.name}[{' => '.join(map(str, way))}]", (tuple(((v, v),) for v in way),)


def _step(items: Any, name: str) -> Iterator[Range]:
    for item in (i for i in items if name_of(i) != "Token"):
        ends = [literal(t) for t in str(item).strip().strip("[]").split(":")]
        if not 1 <= len(ends) <= 2 or None in ends:
            raise Unsupported(f"bins {name}: {item} is no literal")
        yield ends[0] or 0, ends[-1] or 0


def _ways(row: Row) -> list[tuple[int, ...]]:
    ways: list[tuple[int, ...]] = [()]
    for ranges in row:
        ways = [(*w, v) for w in ways for v in _values(ranges)]
    return ways


# In the graph


def group_bins(graph: Graph, groups: Groups, wires: Mapping[str, Sequence[tuple[int, ...]]]) -> list[Bin]:
    """Bins of `groups`; `wires`: name -> its literals, an entry an instance. Adds latches for transitions."""
    by_point: dict[str, list[list[Bin]]] = {}
    for p in groups.points:
        guards = wires.get(p.guard, []) if p.guard else [(TRUE,)] * len(wires.get(p.wire, []))
        pairs = zip(wires.get(p.wire, []), guards, strict=True)
        by_point[p.name] = [_point_bins(graph, p, bits, guard[0]) for bits, guard in pairs]
    made = [b for rows in by_point.values() for b in _united(graph, rows)]
    for c in groups.crosses:
        rows = []
        for at in range(len(by_point[c.points[0]])):
            when = wires[c.guard][at][0] if c.guard else TRUE
            rows.append(
                cross(graph, c.name, *(by_point[p][at] for p in c.points), when=when, source=c.source)
            )
        made += _united(graph, rows)
    return made


def _united(graph: Graph, instances: Sequence[Sequence[Bin]]) -> list[Bin]:
    return [
        Bin(same[0].name, graph.any_of(b.target for b in same), "functional", same[0].source)
        for same in zip(*instances, strict=True)
    ]


def _point_bins(graph: Graph, point: Point, bits: Sequence[int], guard: int) -> list[Bin]:
    made = []
    for name, rows in point.bins:
        seen = graph.any_of(_sequence(graph, row, bits, guard) for row in rows)
        made.append(Bin(f"{point.name}[{name}]", seen, "functional", point.source))
    return made


def _sequence(graph: Graph, row: Row, bits: Sequence[int], guard: int) -> int:
    """Whether the samples up to this cycle end with `row`; cycles without the guard are no samples."""
    before, seen = TRUE, FALSE
    for place, ranges in enumerate(row):
        inside = graph.any_of(within(graph, bits, range(a, b + 1)) for a, b in ranges)
        seen = graph.all_of([guard, before, inside])
        if place < len(row) - 1:
            before = graph.add_latch(0)
            graph.set_next(before, graph.choose(guard, seen, before))
    return seen
