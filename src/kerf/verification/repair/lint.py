"""What a linter would mend, and other slips that no choice of values can stand for: each a variant of the source, tried by simulation.

Sensitivity lists and edges, blocking assignments in clocked processes, latches, resets missing from a list, literals and ports that are too narrow are
what simulators and synthesis disagree on or warn of; bounds of loops and connections of instances are variants like any other (Ahmad, Huang and Weimer,
ASPLOS 2022, collect such defects).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kerf.verification.design import Design
from kerf.verification.repair.change import Edit
from kerf.verification.repair.source import Always, Assignment, Connection, Key, Loop, Places, Span
from kerf.verification.tables import Table

CLOCKS = re.compile(r"cl(oc)?k", re.I)


@dataclass(frozen=True)
class Variant:
    """`seen`: simulation by cycles shows the difference (it does not for an incomplete sensitivity list). `sure`: wrong whatever else is."""

    template: str
    edits: tuple[Edit, ...]
    line: int
    weight: int = 2
    seen: bool = True
    sure: bool = True


def lints(design: Design, places: Places, table: Table | None) -> list[Variant]:
    """What is wrong by the look of it."""
    found = _Lint(design, places, table)
    return [v for always in places.always.values() for v in found.process(always)] + list(found.widths())


@dataclass
class _Lint:
    design: Design
    places: Places
    table: Table | None

    def line(self, span: Span) -> int:
        text = next(s.text for s in self.design.sources if s.name == span.source)
        return text.encode("utf-8", "surrogateescape").count(b"\n", 0, span.start) + 1

    def _variant(self, template: str, *edits: Edit, seen: bool = True, weight: int = 2, sure: bool = True) -> Variant:  # fmt: skip
        return Variant(template, edits, self.line(edits[0].span), weight, seen, sure)

    def process(self, a: Always) -> Iterator[Variant]:
        if a.process.clocked:
            yield from self._blocking(a)
            yield from self._edge(a)
            yield from self._reset(a)
        elif self._lost_edge(a):
            yield self._variant("add edge", Edit(a.timing, f"@(posedge {a.events[0].name})"))
        else:
            yield from self._list(a)
            yield from self._latch(a)

    def _assignments(self, a: Always) -> list[Assignment]:
        return [x for x in self.places.assignments.values() if x.process.number == a.process.number]

    def _blocking(self, a: Always) -> Iterator[Variant]:
        """All of a clocked process's registers assigned blocking: read a cycle early elsewhere."""
        rows = [x for x in self._assignments(a) if not x.nonblocking]
        if rows:
            yield self._variant("nonblocking assignment", *(self._arrow(x) for x in rows))

    def _arrow(self, x: Assignment) -> Edit:
        text = self._text(Span(x.span.source, x.left.end, x.right.start))
        place = x.left.end + len(text[: text.index("=")].encode("utf-8", "surrogateescape"))
        return Edit(Span(x.span.source, place, place + 1), "<=")

    def _text(self, span: Span) -> str:
        text = next(s.text for s in self.design.sources if s.name == span.source)
        data = text.encode("utf-8", "surrogateescape")
        return data[span.start : span.end].decode("utf-8", "surrogateescape")

    def _edge(self, a: Always) -> Iterator[Variant]:
        """The edge that the table was recorded at."""
        for event in a.events:
            level = self.table.constant(event.name) if self.table else None
            wanted = {1: "posedge", 0: "negedge"}.get(-1 if level is None else level, event.edge)
            if CLOCKS.search(event.name) and event.edge and event.edge != wanted:
                yield self._variant("other edge", Edit(event.span, f"{wanted} {event.name}"))

    def _reset(self, a: Always) -> Iterator[Variant]:
        """A reset that other processes wait for as well."""
        listed = {e.name for e in a.events}
        for other in self.places.always.values():
            for event in other.events:
                is_reset = event.edge and event.name not in listed and event.name in a.first
                if is_reset and other.process.module == a.process.module and len(other.events) > 1:
                    text = self._text(a.timing).rstrip(")").rstrip()
                    yield self._variant("reset in list", Edit(a.timing, f"{text} or {event.edge} {event.name})"), seen=False)  # fmt: skip
                    return

    def _lost_edge(self, a: Always) -> bool:
        """A list of a clock alone, whose edge is missing."""
        names = {e.name for e in a.events}
        rows = self._assignments(a)
        return len(names) == 1 and not names & set(a.reads) and bool(rows) and any(x.nonblocking for x in rows)  # fmt: skip

    def _list(self, a: Always) -> Iterator[Variant]:
        module = self.places.modules[a.process.module]
        words = {n for n in a.reads if n in module.words and module.words[n].kind == "variable"}
        missing = words - {e.name for e in a.events} - set(a.process.targets)
        if not a.implicit and missing:
            yield self._variant("sensitivity list", Edit(a.timing, "@(*)"), seen=False)

    def _latch(self, a: Always) -> Iterator[Variant]:
        """A value for what some way leaves as it was."""
        span = a.process.span
        wholes = {x.target for x in self._assignments(a) if x.whole}
        held = [t for t in a.held if t in wholes]
        begin = re.match(r"begin(\s*:\s*\w+)?", self._text(span)) if span else None
        if held and span:
            at = span.start + (len(begin.group(0).encode()) if begin else 0)
            sign = "<=" if all(x.nonblocking for x in self._assignments(a)) else "="
            text = "".join(f" {t} {sign} 0;" for t in held)
            ends = [Edit(Span(span.source, at, at), text if begin else f"begin{text} ")]
            ends += [] if begin else [Edit(Span(span.source, span.end, span.end), " end")]
            yield self._variant("default assignment", *ends, sure=False)

    def widths(self) -> Iterator[Variant]:
        """Ports narrower than their values in the table; literals wider than their size."""
        for name, width in _needed(self.table).items() if self.table else ():
            port = next((p for p in self.design.ports if p.name == name), None)
            if port and port.width < width:
                edits = list(self._declarations(name, width))
                if edits:
                    yield self._variant("wider port", *edits)
        for source in self.design.sources:
            yield from self._literals(source.name, source.text)

    def _literals(self, name: str, text: str) -> Iterator[Variant]:
        for found in re.finditer(r"\b(\d+)'d(\d+)\b", text):
            if int(found.group(2)) >> int(found.group(1)):
                start = len(text[: found.start()].encode("utf-8", "surrogateescape"))
                span = Span(name, start, start + len(found.group(0)))
                yield self._variant("literal too wide", Edit(span, found.group(2)))

    def _declarations(self, name: str, width: int) -> Iterator[Edit]:
        module = self.places.modules[self.design.top]
        source = next(s for s in self.design.sources if s.name == module.header.source)
        data = source.text.encode("utf-8", "surrogateescape")
        pattern = rb"\b(?:output|inout|reg|logic|wire)\s+(?:reg\s+|logic\s+|wire\s+)?(?:signed\s+)?(\[[^\]]*\]\s*)?" + name.encode() + rb"\b"  # fmt: skip
        begin = data.rfind(b"module", 0, module.header.start)
        for found in re.finditer(pattern, data[begin : module.end.start]):
            inner = found.start(1) if found.group(1) else found.end() - len(name)
            span = Span(
                source.name,
                begin + inner,
                begin + (found.end(1) if found.group(1) else found.end() - len(name)),
            )
            yield Edit(span, f"[{width - 1}:0] ")


def _needed(table: Table) -> Mapping[str, int]:
    return {n: value.bit_length() for n, value in table.largest().items()}


def variants(design: Design, places: Places, scope: set[Key] | None = None) -> list[Variant]:
    """Changes that need a synthesis of their own, the likelier first. `scope`: words whose values may change; None for all."""
    found = _Lint(design, places, None)

    def reaches(place: Loop | Connection) -> bool:
        return scope is None or not place.targets or any((place.module, t) in scope for t in place.targets)

    rows: list[Variant] = []
    loops = [loop for loop in places.loops.values() if reaches(loop)]
    last, others = [loop.bounds[-1] for loop in loops], [b for loop in loops for b in loop.bounds[:-1]]
    for step, bounds in ((1, last), (-1, last), (1, others), (-1, others)):
        for span, value in bounds:
            if value + step > 0:
                rows.append(found._variant("bound of a loop", Edit(span, str(value + step))))
    for connection in filter(reaches, places.connections.values()):
        ends = connection.ends
        for i, (a, width) in enumerate(ends):
            for b, other in ends[i + 1 :]:
                if width == other and found._text(a) != found._text(b):
                    rows.append(
                        found._variant(
                            "swapped connections", Edit(a, found._text(b)), Edit(b, found._text(a)), weight=3
                        )
                    )
    return rows
