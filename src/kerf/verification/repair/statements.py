"""Changes of whole statements: a guard before an assignment, one more case, an `else` too many, an overwrite at the end of a process."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kerf.verification.repair.change import Change, Edit, Insert, Values, constant
from kerf.verification.repair.ground import MOST_LITERAL, Ground, Literal, ends
from kerf.verification.repair.source import Assignment, Branch, Case, If, Span


class Statements(Ground):
    """Changes that add or free a statement."""

    def _guarded(self, a: Assignment) -> Iterator[Change]:
        """A condition before an assignment."""
        literals = self._literals(a.process)
        if a.process.span is None or literals is None:
            return
        one, two = literals
        enable, wider = self._new("e"), self._new("e")
        insert = self._wrap(a.span, f"begin if (!{enable} || {one} || ({wider} && {two})) ", " end")

        def edits(v: Values) -> list[Edit]:
            guard = f"{one.told(v)} || {two.told(v)}" if v(wider) else one.told(v)
            before, behind = ends(a.span)
            return [Edit(before, f"begin if ({guard}) "), Edit(behind, " end")]

        yield Change("guard assignment", a.process.module, enable, (), (insert,), edits, 4, picks=(one.pick,))
        yield self._wider(a.process, a.span, wider, enable, two)

    def _case(self, c: Case) -> Iterator[Change]:
        """One more case, with assignments of constants."""
        if not 0 < c.width <= MOST_LITERAL or c.process.local:
            return
        enable, label = self._new("e"), self._new()
        parts, inside = [], ""
        for target in c.process.targets:
            for usual in self._usual(c.process, target):
                part, hole = self._new("e"), self._new()
                sign = "<=" if usual.nonblocking else "="
                inside += f"if ({part}) {target} {sign} {hole}; "
                parts.append((part, hole, target, sign, usual.width))
        insert = self._wrap(c.span, f"if ({enable} && ({c.subject}) == {label}) begin {inside}end else ", "")
        module = c.process.module
        begin = re.match(r"(unique\s*|unique0\s*|priority\s*)?case\s*\(", self.text(c.span))
        if begin is None:
            return
        place = self._behind(c, begin.end())
        mark = Span(c.span.source, place, place)

        def edits(v: Values) -> list[Edit]:
            rows = [
                f"{target} {sign} {constant(width, v(hole))};"
                for part, hole, target, sign, width in parts
                if v(part)
            ]
            return [Edit(mark, f" {constant(c.width, v(label))}: begin {' '.join(rows)} end")]

        yield Change("add case", module, enable, ((label, c.width),), (insert,), edits, 4)
        for part, hole, _, _, width in parts:
            yield Change("in added case", module, part, ((hole, width),), (Insert(c.span),), edits, 1, needs=enable, near={hole: 0})  # fmt: skip

    def _behind(self, c: Case, opened: int) -> int:
        """The offset behind the parenthesis that closes a case's subject."""
        text, depth, at = self.text(c.span), 1, opened
        while depth:
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 1
        return c.span.start + len(text[:at].encode("utf-8", "surrogateescape"))

    def _independent(self, i: If) -> Iterator[Change]:
        """`else if` where an `if` of its own was meant, after all of the chain."""
        if not (i.process.clocked and i.chained):
            return
        enable, root = self._new("e"), self._root(i)
        around = zip(ends(root), ("begin ", " end")) if root in self.places.branches else ()
        edits = [Edit(i.keyword, ""), *(Edit(*pair) for pair in around)]
        yield Change(
            "drop else", i.process.module, enable, (),
            (
                self._wrap(root, "begin ", f" if ({enable}) {self.text(i.other)} end"),
                self._wrap(i.keyword, "", f" if ({enable}) ; else"),
            ),
            lambda v: edits, 3,
        )  # fmt: skip

    def _root(self, i: If) -> Span:
        """The whole chain that an `if` belongs to."""
        above = next((o for o in self.places.ifs.values() if o.other == i.span), None)
        return self._root(above) if above else i.span

    def _overwrite(self, b: Branch) -> Iterator[Change]:
        """At the end of a process: `if (g) target <= constant`."""
        if b.process.local:
            return
        for target in b.process.targets:
            for usual in self._usual(b.process, target):
                literals = self._literals(b.process)
                if literals:
                    yield from self._overwritten(b, target, usual, *literals)

    def _overwritten(self, b: Branch, target: str, usual: Assignment, one: Literal, two: Literal) -> Iterator[Change]:  # fmt: skip
        enable, wider, value = self._new("e"), self._new("e"), self._new()
        sign = "<=" if usual.nonblocking else "="
        condition = f"{enable} && {one} && (!{wider} || {two})"
        insert = self._wrap(b.span, "begin ", f" if ({condition}) {target} {sign} {value}; end")

        def edits(v: Values) -> list[Edit]:
            guard = f"{one.told(v)} && {two.told(v)}" if v(wider) else one.told(v)
            return self._at_end(b, f"if ({guard}) {target} {sign} {constant(usual.width, v(value))};")

        yield Change(
            "conditional overwrite", b.process.module, enable, ((value, usual.width),), (insert,), edits, 5,
            near={value: 0}, picks=(one.pick,),
        )  # fmt: skip
        yield self._wider(b.process, b.span, wider, enable, two)

    def _at_end(self, b: Branch, statement: str) -> list[Edit]:
        if b.block:
            text = self.text(b.span)
            place = b.span.start + len(text[: text.rindex("end")].rstrip().encode("utf-8", "surrogateescape"))
            return [Edit(Span(b.span.source, place, place), f" {statement}")]
        before, behind = ends(b.span)
        return [Edit(before, "begin "), Edit(behind, f" {statement} end")]
