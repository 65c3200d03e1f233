"""Templates of changes, each at every place that it fits: literals, parameters, conditions, operators, words, guards, assignments, cases.

The first six are those of RTL-Repair (Laeufer et al., ASPLOS 2024: replaced literals and variables, inverted conditions, guards, assigned constants,
conditional overwrites); the others are common slips besides: wrong operators, missing assignments, cases, guards of statements, a wrong else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from kerf.verification.repair.change import PREFIX, Change, Edit, Insert, Pick, Plan, Values, constant
from kerf.verification.repair.order import Order
from kerf.verification.repair.source import (
    Assignment,
    Branch,
    Case,
    Constant,
    Expr,
    If,
    Key,
    Module,
    Places,
    Process,
    Span,
    uncommented,
)

MOST_WORDS = 24  # words that one expression may be replaced by
MOST_GUARDS = 64
MOST_LITERAL = 64  # bits
ALTERNATIVES = {
    "Equality": ("!=", "<", ">", "<=", ">="), "Inequality": ("==", "<", ">"),
    "LessThan": ("<=", ">", ">=", "==", "<<"), "LessThanEqual": ("<", ">=", ">", "=="),
    "GreaterThan": (">=", "<", "<=", "==", ">>"), "GreaterThanEqual": (">", "<=", "<", "=="),
    "Add": ("-",), "Subtract": ("+",), "BinaryAnd": ("|", "^"), "BinaryOr": ("&", "^"), "BinaryXor": ("&", "|"),
    "LogicalAnd": ("||",), "LogicalOr": ("&&",), "LogicalShiftLeft": (">>",), "LogicalShiftRight": ("<<",),
    "ArithmeticShiftRight": ("<<", ">>"), "ArithmeticShiftLeft": (">>",),
}  # fmt: skip
UNARY = {
    "BitwiseNot": ("", "!"), "LogicalNot": ("", "~"), "Minus": ("", "~"), "BitwiseAnd": ("|", "^"), "BitwiseOr": ("&", "^"),
    "BitwiseXor": ("~^", "|"),
}  # fmt: skip


@dataclass(frozen=True)
class _Literal:
    """A word of one bit, or its inverse."""

    pick: Pick
    words: Sequence[str]

    def __str__(self) -> str:
        return self.pick.wire

    def told(self, v: Values) -> str:
        word = _picked(self.words, v(self.pick.index))
        plain = re.fullmatch(r"\w+", word) is not None
        if v(self.pick.inverted):
            return f"!{word}" if plain else f"!({word})"
        return word if plain else f"({word})"


@dataclass
class Offer:
    """What is offered for a design, in growing classes: `plan(0)` holds the slips of one token, later ones whole statements too."""

    places: Places
    order: Order
    texts: dict[str, str]
    level: int = 1
    scope: set[Key] | None = None  # words whose assignments may change; None for all
    _count: int = 0
    _lists: dict[tuple[str, int, tuple[str, ...]], str] = field(default_factory=dict)
    _rank: int = 0

    def plan(self) -> Plan:
        """All changes up to `level` (0: within expressions; 1: guards, other words and assignments; 2: new branches and overwrites)."""
        changes = list(self._all())
        used = {p.words for c in changes for p in c.picks}
        lists: dict[str, list[tuple[str, int, Sequence[str]]]] = {}
        for (module, width, words), name in self._lists.items():
            if name in used:
                lists.setdefault(module, []).append((name, width, words))
        return Plan(tuple(self._lined(c) for c in changes), lists)

    def _reaches(self, process: Process, target: str = "") -> bool:
        """Whether a process, or what it assigns to one target, is in scope."""
        targets = (target,) if target else process.targets
        return self.scope is None or not targets or any((process.module, t) in self.scope for t in targets)

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

    # names and texts

    def _new(self, kind: str = "h") -> str:
        self._count += 1
        return f"{PREFIX}{kind}{self._count}"

    def _wrap(self, span: Span, before: str, behind: str) -> Insert:
        self._rank += 1
        return Insert(span, before, behind, self._rank)

    def text(self, span: Span) -> str:
        data = self.texts[span.source].encode("utf-8", "surrogateescape")
        return uncommented(data[span.start : span.end].decode("utf-8", "surrogateescape"))

    def _lined(self, change: Change) -> Change:
        span = change.edited or change.inserts[0].span
        data = self.texts[span.source].encode("utf-8", "surrogateescape")
        return replace(change, line=data.count(b"\n", 0, span.start) + 1)

    def _pick(self, module: str, width: int, words: Sequence[str], inverted: bool = False) -> Pick:
        """One of `words`, texts that have a meaning anywhere in the module."""
        key = (module, width, tuple(words))
        name = self._lists.setdefault(key, f"{PREFIX}l{len(self._lists)}_")
        bits = max((len(words) - 1).bit_length(), 1)
        return Pick(self._new("w"), width, name, len(words), self._new(), bits, self._new() if inverted else "")  # fmt: skip

    # within expressions

    def _literal(self, e: Expr) -> Iterator[Change]:
        sized = "'" in e.text
        width = e.width if sized else min(32, max(e.wanted, e.value.bit_length(), 1))
        if not 0 < width <= MOST_LITERAL or (e.role == "index" and width > 16):
            return
        enable, hole = self._new("e"), self._new()
        value = _fitted(hole, width, e.width, e.signed)
        yield Change(
            "replace literal", e.process.module, enable, ((hole, width),), (self._wrap(e.span, f"({enable} ? {value} : (", "))"),),
            lambda v: [Edit(e.span, constant(width, v(hole), e.text))], 2, near={hole: e.value},
        )  # fmt: skip

    def _constant(self, c: Constant) -> Iterator[Change]:
        if not 0 < c.width <= MOST_LITERAL:
            return
        enable, hole = self._new("e"), self._new()
        value = f"$signed({hole})" if c.signed else hole
        known = self.places.expressions
        inserts = tuple(
            self._wrap(u, f"({enable} ? {value} : (", "))")
            for u in c.uses
            if u in known and known[u].role != "port"
        )
        if inserts:
            yield Change(
                "replace parameter", c.module, enable, ((hole, c.width),), inserts,
                lambda v: [Edit(c.span, constant(c.width, v(hole), self.text(c.span)))], 2, near={hole: c.value}, edited=c.span,
            )  # fmt: skip

    def _inverted(self, e: Expr) -> Iterator[Change]:
        enable = self._new("e")

        def edits(v: Values) -> list[Edit]:
            simple = re.fullmatch(r"[!~]\s*(\w+)", e.text)
            plain = re.fullmatch(r"[\w.\[\]]+", e.text)
            return [Edit(e.span, simple.group(1) if simple else f"!{e.text}" if plain else f"!({e.text})")]

        yield Change(
            "invert condition", e.process.module, enable, (), (self._wrap(e.span, f"({enable} ? !({e.text}) : (", "))"),),
            edits, 2,
        )  # fmt: skip

    def _operator(self, e: Expr) -> Iterator[Change]:
        if e.kind == "binary":
            a, b = (self.text(s) for s in e.parts)
            texts = [f"{a} {o} {b}" for o in ALTERNATIVES.get(e.operator, ()) if o not in ("<<", ">>") or e.wanted > 1 or "Shift" in e.operator]  # fmt: skip
            texts += [f"{b} - {a}"] if e.operator == "Subtract" else []
        else:
            a = self.text(e.parts[0])
            texts = [f"{o}{a}" for o in UNARY.get(e.operator, ()) if o != "!" or e.wanted == 1]
        if texts:
            yield from self._instead(e, "replace operator", texts, 2)

    def _instead(self, e: Expr, template: str, texts: Sequence[str], weight: int) -> Iterator[Change]:
        """One of `texts` in place of an expression."""
        enable, hole = self._new("e"), self._new()
        bits = max((len(texts) - 1).bit_length(), 1)
        chosen = _choice(hole, bits, texts)
        yield Change(
            template, e.process.module, enable, ((hole, bits),), (self._wrap(e.span, f"({enable} ? {chosen} : (", "))"),),
            lambda v: [Edit(e.span, texts[min(v(hole), len(texts) - 1)])], weight,
        )  # fmt: skip

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
            lambda v: [Edit(e.span, _picked(names, v(pick.index)))], weight, picks=(pick,),
        )  # fmt: skip

    def _words(self, process: Process, module: Module, width: int, near: str, constants: bool = True) -> list[str]:  # fmt: skip
        """Words of a width that a process may read, those whose names are like `near` first."""
        from difflib import SequenceMatcher

        fit = [w.name for w in module.words.values() if w.width == width and w.name != near]
        parameters = [n for n in fit if module.words[n].kind == "parameter"] if constants else []
        fit = [n for n in fit if module.words[n].kind == "variable"]
        readable = parameters + self.order.readable(process, fit)
        readable.sort(key=lambda n: -SequenceMatcher(None, n, near).ratio())
        return readable[:MOST_WORDS]

    def _guards(self, process: Process) -> list[str]:
        """One-bit words and conditions of the module."""
        module = self.places.modules[process.module]
        words = [w.name for w in module.words.values() if w.width == 1 and w.kind == "variable"]
        found = self.order.readable(process, words)
        for text, names in module.conditions.items():
            plain = [n for n in names if module.words.get(n) and module.words[n].kind == "variable"]
            others = [n for n in names if n not in plain]
            known = len(plain) == 1 and text not in found and all(n in module.words for n in others)
            if known and self.order.readable(process, plain) == plain and not text.startswith(("!", "~")):
                found.append(text)
        return found[:MOST_GUARDS]

    def _literals(self, process: Process) -> tuple[_Literal, _Literal] | None:
        """Two words of one bit or their inverses, as the solver chooses."""
        words = self._guards(process)
        if not words:
            return None
        picks = [self._pick(process.module, 1, words, True) for _ in range(2)]
        return _Literal(picks[0], words), _Literal(picks[1], words)

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

    def _wider(self, process: Process, span: Span, wider: str, enable: str, two: _Literal) -> Change:
        return Change("widen guard", process.module, wider, (), (Insert(span),), lambda v: [], 2, enable, picks=(two.pick,))  # fmt: skip

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
                self._added(b, target, sign, lambda v: _picked(texts, v(pick.index))), 5 if b.body else 4, picks=(pick,),
            )  # fmt: skip

    def _is_plain(self, a: Assignment) -> bool:
        """Whether what is assigned means the same anywhere in the module, and may be read there."""
        module = self.places.modules[a.process.module]
        text = self.text(a.right)
        names = re.findall(r"(?<![\w'$`])[A-Za-z_]\w*", text)
        known = [n for n in names if n in module.words and module.words[n].kind != "varying"]
        variables = [n for n in known if module.words[n].kind == "variable"]
        plain = len(known) == len(names) and "`" not in text and "$" not in text
        return plain and set(self.order.readable(a.process, variables)) == set(variables)

    def _all_usual(self, process: Process, target: str) -> list[Assignment]:
        known = self.places.assignments.values() if self._reaches(process, target) else ()
        return [a for a in known if a.process.number == process.number and a.target == target and a.whole and not self._is_list(a)]  # fmt: skip

    def _usual(self, process: Process, target: str) -> list[Assignment]:
        """At most one assignment of the whole target, to see its width and sign."""
        return [a for a in self._all_usual(process, target) if a.width <= MOST_LITERAL][:1]

    def _is_list(self, a: Assignment) -> bool:
        return self.text(a.left).startswith("{")

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
        before, behind = _ends(b.span)
        return [Edit(before, f"begin {statement} "), Edit(behind, " end")]

    # statements

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
            before, behind = _ends(a.span)
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
        around = zip(_ends(root), ("begin ", " end")) if root in self.places.branches else ()
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

    def _overwritten(self, b: Branch, target: str, usual: Assignment, one: _Literal, two: _Literal) -> Iterator[Change]:  # fmt: skip
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
        before, behind = _ends(b.span)
        return [Edit(before, "begin "), Edit(behind, f" {statement} end")]


def _picked(texts: Sequence[str], index: int) -> str:
    return texts[index if index < len(texts) else 0]


def _ends(span: Span) -> tuple[Span, Span]:
    return Span(span.source, span.start, span.start), Span(span.source, span.end, span.end)


def _fitted(hole: str, width: int, wanted: int, signed: bool) -> str:
    """A hole as an expression of `wanted` bits."""
    text = f"{{{wanted - width}'d0, {hole}}}" if width < wanted else hole
    return f"$signed({text})" if signed else text


def _choice(hole: str, bits: int, texts: Sequence[str]) -> str:
    """The text that a hole's value picks; the last for all others."""
    row = f"({texts[-1]})"
    for index in reversed(range(len(texts) - 1)):
        row = f"({hole} == {bits}'d{index} ? ({texts[index]}) : {row})"
    return row
