"""Templates of changes, each at every place that it fits: literals, parameters, conditions, operators, words, guards, assignments, cases.

The first six are those of RTL-Repair (Laeufer et al., ASPLOS 2024: replaced literals and variables, inverted conditions, guards, assigned constants,
conditional overwrites); the others are common slips besides: wrong operators, missing assignments, cases, guards of statements, a wrong else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from kerf.verification.repair.change import Change, Edit, Plan, Values, constant
from kerf.verification.repair.ground import MOST_LITERAL, MOST_WORDS, ends, picked
from kerf.verification.repair.slips import Slips
from kerf.verification.repair.source import Assignment, Branch, Expr, Mention, Span
from kerf.verification.repair.statements import Statements


@dataclass
class Offer(Slips, Statements):
    """What is offered for a design: at level 0 the slips of one token, at 1 other words, guards and assignments, at 2 whole statements too."""

    def plan(self) -> Plan:
        """All changes up to `level` (0: within expressions; 1: guards, other words and assignments; 2: new branches and overwrites)."""
        changes = list(self._all())
        used = {p.words for c in changes for p in c.picks}
        lists: dict[str, list[tuple[str, int, Sequence[str]]]] = {}
        for (module, width, words), name in self._lists.items():
            if name in used:
                lists.setdefault(module, []).append((name, width, words))
        return Plan(tuple(self._lined(c) for c in changes), lists)

    def _all(self) -> Iterator[Change]:
        p = self.places
        for e in filter(lambda e: self._reaches(e.process, e.target), p.expressions.values()):
            if e.kind == "literal":
                yield from self._literal(e)
            elif e.role == "condition":
                yield from self._inverted(e)
            if e.kind in ("binary", "unary"):
                yield from self._operator(e)
        for c in p.constants.values():
            yield from self._constant(c)
        for i in p.ifs.values():
            if self._reaches(i.process):
                yield from self._independent(i)
        if self.level >= 1:
            yield from self._second()
        if self.level >= 2:
            yield from self._third()

    def _second(self) -> Iterator[Change]:
        p = self.places
        for e in filter(lambda e: self._reaches(e.process, e.target), p.expressions.values()):
            if e.kind == "name" or e.kind == "other":
                yield from self._word(e)
            if e.role in ("condition", "value") and e.width == e.wanted == 1:
                yield from self._guard(e)
        for a in p.assignments.values():
            if self._reaches(a.process, a.target):
                yield from self._value(a)
        for m in p.mentions.values():
            if self._reaches(m.process, m.target):
                yield from self._renamed(m)
        for b in p.branches.values():
            yield from self._assigned(b)

    def _third(self) -> Iterator[Change]:
        p = self.places
        for a in p.assignments.values():
            if self._reaches(a.process, a.target):
                yield from self._guarded(a)
        for c in p.cases.values():
            if self._reaches(c.process):
                yield from self._case(c)
        for b in p.branches.values():
            if b.body:
                yield from self._overwrite(b)

    # words, guards and values

    def _word(self, e: Expr) -> Iterator[Change]:
        module = self.places.modules[e.process.module]
        names = self._words(e.process, module, e.width, e.text, e.role != "subject")
        if names and e.role != "label":
            yield self._other(e, names, 3)

    def _other(self, e: Expr, names: Sequence[str], weight: int) -> Change:
        """One of `names`, words as wide as the expression, in its place."""
        enable, pick = self._new("e"), self._pick(e.process.module, e.width, names)
        value = f"$signed({pick.wire})" if e.signed else pick.wire
        return Change(
            "replace variable", e.process.module, enable, (), (self._wrap(e.span, f"({enable} ? {value} : (", "))"),),
            lambda v: [Edit(e.span, picked(names, v(pick.index)))], weight, picks=(pick,),
        )  # fmt: skip

    def _renamed(self, m: Mention) -> Iterator[Change]:
        """Another variable as wide, throughout an expression that names one more than once or selects from it."""
        module = self.places.modules[m.process.module]
        fit = self._words(m.process, module, m.width, m.name, False)
        names = [n for n in fit if not module.words[n].signed]
        if not names or (len(m.uses) == 1 and m.uses[0] in self.places.expressions):
            return
        enable, pick = self._new("e"), self._pick(module.name, m.width, names)
        before = f"({enable} ? ({self._with(m, pick.wire)}) : ("
        yield Change(
            "rename variable", module.name, enable, (), (self._wrap(m.whole, before, "))"),),
            lambda v: [Edit(u, picked(names, v(pick.index))) for u in m.uses], 3, picks=(pick,),
        )  # fmt: skip

    def _with(self, m: Mention, word: str) -> str:
        """The expression of a mention, with `word` for its variable."""
        source, at, parts = m.whole.source, m.whole.start, []
        for use in sorted(m.uses):
            parts += [self.text(Span(source, at, use.start)), word]
            at = use.end
        return "".join([*parts, self.text(Span(source, at, m.whole.end))])

    def _guard(self, e: Expr) -> Iterator[Change]:
        """c becomes c && g or c || g; with one more change, g is (a || b), or (a && b)."""
        literals = self._literals(e.process)
        if literals is None or e.kind == "literal":
            return
        one, two = literals
        enable, wider, kind = self._new("e"), self._new("e"), self._new()
        both = f"(({e.text}) && ({one} || ({wider} && {two})))"
        either = f"(({e.text}) || ({one} && (!{wider} || {two})))"
        insert = self._wrap(e.span, f"({enable} ? ({kind} ? {either} : {both}) : (", "))")

        def edits(v: Values) -> list[Edit]:
            outer, inner = ("||", "&&") if v(kind) else ("&&", "||")
            guard = f"({one.told(v)} {inner} {two.told(v)})" if v(wider) else one.told(v)
            left = e.text if re.fullmatch(r"[\w\[\]!~.]+", e.text) else f"({e.text})"
            text = f"{left} {outer} {guard}"
            return [Edit(e.span, text if e.role == "condition" else f"({text})")]

        module = e.process.module
        yield Change("add guard", module, enable, ((kind, 1),), (insert,), edits, 3, picks=(one.pick,))
        yield self._wider(e.process, e.span, wider, enable, two)

    def _value(self, a: Assignment) -> Iterator[Change]:
        """Another word, or a constant, in place of what is assigned."""
        text = self.text(a.right)
        module = self.places.modules[a.process.module]
        known = self.places.expressions.get(a.right)
        if a.width <= MOST_LITERAL and (known is None or known.kind != "literal"):
            enable, hole = self._new("e"), self._new()
            value = f"$signed({hole})" if a.signed else hole
            yield Change(
                "assign constant", module.name, enable, ((hole, a.width),),
                (self._wrap(a.right, f"({enable} ? {value} : (", "))"),),
                lambda v: [Edit(a.right, constant(a.width, v(hole)))], 4, near={hole: 0},
            )  # fmt: skip
        if known is None or known.kind != "name":
            names = self._words(a.process, module, a.width, a.target)
            if names:
                e = Expr(a.right, "other", "value", a.width, a.signed, text, a.width, a.process, a.target)
                yield self._other(e, names, 4)

    def _assigned(self, b: Branch) -> Iterator[Change]:
        """An assignment at the start of a branch: of a constant, or of what the target is given elsewhere."""
        if b.process.local:
            return
        for target in b.process.targets:
            for usual in self._usual(b.process, target):
                sign = "<=" if usual.nonblocking else "="
                yield self._constantly(b, target, sign, usual.width)
                yield from self._copied(b, target, sign, usual)

    def _constantly(self, b: Branch, target: str, sign: str, width: int) -> Change:
        enable, hole = self._new("e"), self._new()
        insert = self._wrap(b.span, f"begin if ({enable}) {target} {sign} {hole}; ", " end")
        return Change(
            "add assignment", b.process.module, enable, ((hole, width),), (insert,),
            self._added(b, target, sign, lambda v: constant(width, v(hole))), 4 if b.body else 3, near={hole: 0},
        )  # fmt: skip

    def _copied(self, b: Branch, target: str, sign: str, usual: Assignment) -> Iterator[Change]:
        module = self.places.modules[b.process.module]
        others = [self.text(a.right) for a in self._all_usual(b.process, target) if self._is_plain(a)]
        texts = [t for t in dict.fromkeys(others) if not re.fullmatch(r"[\d'bhdox_]+", t)]
        words = self._words(b.process, module, usual.width, target)
        texts = list(dict.fromkeys(texts + words))[:MOST_WORDS]
        if texts:
            enable, pick = self._new("e"), self._pick(module.name, usual.width, texts)
            insert = self._wrap(b.span, f"begin if ({enable}) {target} {sign} {pick.wire}; ", " end")
            yield Change(
                "add assignment", module.name, enable, (), (insert,),
                self._added(b, target, sign, lambda v: picked(texts, v(pick.index))), 5 if b.body else 4, picks=(pick,),
            )  # fmt: skip

    def _added(
        self, b: Branch, target: str, sign: str, value: Callable[[Values], str]
    ) -> Callable[[Values], list[Edit]]:
        def edits(v: Values) -> list[Edit]:
            return self._at_start(b, f"{target} {sign} {value(v)};")

        return edits

    def _at_start(self, b: Branch, statement: str) -> list[Edit]:
        text = self.text(b.span)
        begin = re.match(r"begin(\s*:\s*\w+)?", text)
        if b.block and begin:
            place = b.span.start + len(begin.group(0).encode())
            return [Edit(Span(b.span.source, place, place), f" {statement}")]
        before, behind = ends(b.span)
        return [Edit(before, f"begin {statement} "), Edit(behind, " end")]

    def _lined(self, change: Change) -> Change:
        span = change.edited or change.inserts[0].span
        data = self.texts[span.source].encode("utf-8", "surrogateescape")
        return replace(change, line=data.count(b"\n", 0, span.start) + 1)
