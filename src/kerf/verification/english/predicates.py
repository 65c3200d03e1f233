"""What is said of a subject: "is high", "differs from b", "has no 1 bits", "must eventually rise"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kerf.verification.english import words as w
from kerf.verification.english.chart import Reading
from kerf.verification.english.expression import (
    Expression,
    Predicate,
    Saying,
    Subject,
    binary,
    bracketed,
    joined,
    low,
)
from kerf.verification.english.terms import Terms
from kerf.verification.english.words import number

HAVING = w.phrases({"has|have|contains|contain|having|containing": "", "does not have|do not have|does not contain|do not contain|contain not|have not|has not": "not"})  # fmt: skip
AMOUNTS = w.phrases({
    "odd number of": "^{}", "even number of": "~^{}", "at least one|at least 1|one or more|some|any": "|{}", "no|zero|none": "~|{}", "all|only": "&{}",
    "exactly one|exactly 1|only one|a single": "$onehot({})", "at most one|at most 1|no more than one": "$onehot0({})", "more than one": "!$onehot0({})",
    "odd parity": "^{}", "even parity": "~^{}",
})  # fmt: skip
OCCURS = w.phrases({"occurs|happens|arrives|is seen|comes|occur|happen|appear|appears|is received|be received|is given|be given|arrive|come|follow|follows|be present|is present|hold|holds": ""})  # fmt: skip
ALL_BITS = w.phrases({
    "all ones|all 1 bits|all 1|all high|all one": "&{}", "all zeros|all zeroes|all 0 bits|all 0|all low|all zero": "~|{}", "odd parity|of odd parity": "^{}",
    "even parity|of even parity": "~^{}", "nonzero|non zero": "|{}",
})  # fmt: skip
STEPS = w.phrases({"increases by|is incremented by|increments by|goes up by|increase by|increment by|be incremented by": "+", "decreases by|is decremented by|decrements by|goes down by|decrease by|decrement by|be decremented by": "-"})  # fmt: skip
ONE_STEP = w.phrases(
    {
        "increments|is incremented|increment|be incremented": "+",
        "decrements|is decremented|decrement|be decremented": "-",
    }
)
GROWS = w.phrases({"increases|increase|grows": ">", "decreases|decrease|shrinks": "<"})
OPPOSITE = {"==": "!=", "!=": "==", ">": "<=", "<": ">=", ">=": "<", "<=": ">"}


class Predicates(Terms):
    def saying(self, i: int) -> Iterator[Reading]:
        """The verb of a clause and what follows it."""
        yield from self._with_adverbs(i, False, "", False, 0)
        for j, op in self._comparison(i):  # "a not equal to b"
            for end, cost, right in self.read("object", j):
                yield end, cost + 0.3, Saying(compared(op, right), each=False)
        for table, of in ((w.TRUE, true), (w.FALSE, low)):  # "a high"
            for j, _ in self.match(i, table):
                yield j, 0.5, Saying(of)

    def _with_adverbs(
        self, i: int, negative: bool, when: str, together: bool, depth: int
    ) -> Iterator[Reading]:
        for end, cost, saying in self._verbs(i):
            for stop in self.maybe(end, w.SAME_TIME):
                yield stop, cost, replace(
                    saying, negative=saying.negative != negative, when=saying.when or when,
                    together=saying.together or together or stop > end,
                )  # fmt: skip
        if depth < 4:
            for j, no in self.match(i, w.MODAL):
                yield from self._with_adverbs(j, negative != bool(no), when, together, depth + 1)
            for j, how in self.match(i, w.ADVERB):
                denies, ever, both = _adverb(how)
                yield from self._with_adverbs(
                    j, negative != denies, ever or when, both or together, depth + 1
                )

    def _verbs(self, i: int) -> Iterator[Reading]:
        for j, function in self.match(i, w.EDGES):
            yield j, 0.0, Saying(filling(function + "({})"))
        for j, op in self.match(i, w.VERBS):
            for end, cost, of in self._against(j, op):
                yield end, cost, Saying(of, each=False)
        for j, _ in self.match(i, OCCURS):
            yield j, 0.1, Saying(true)
        for j, op in self.match(i, w.PAIRED):
            yield j, 0.1, Saying(true, pair=op)
        yield from self._having(i)
        yield from self._stepping(i)
        for j, no in self.match(i, w.COPULA):
            for k, negative, ever, both in self._adverbs(j):
                for end, cost, saying in self.read("complement", k):
                    yield end, cost, replace(saying, negative=negative != bool(no), when=ever, together=both)

    def _having(self, i: int) -> Iterator[Reading]:
        for j, no in self.match(i, HAVING):
            for end, cost, template in self.read("amount", j):
                yield end, cost, Saying(filling(template), negative=bool(no))
            for end, op in self.match(j + self.at(j, "the"), w.PLURAL):
                yield end, 0.0, Saying(true, pair=op)

    def _stepping(self, i: int) -> Iterator[Reading]:
        """ "increases by 2" """
        for j, sign in self.match(i, STEPS):
            for end, cost, step in self.read("unit", j):
                yield end, cost, Saying(_stepped(sign, step.text))
        for j, sign in self.match(i, ONE_STEP):
            yield j, 0.0, Saying(_stepped(sign, "1"))
        for j, op in self.match(i, GROWS):
            yield j, 0.1, Saying(_since(op))

    def _adverbs(self, i: int) -> Iterator[tuple[int, bool, str, bool]]:
        yield i, False, "", False
        for j, how in self.match(i, w.ADVERB):
            no, ever, both = _adverb(how)
            for k, no2, more, both2 in self._adverbs(j):
                yield k, no != no2, ever or more, both or both2

    def complement(self, i: int) -> Iterator[Reading]:
        """What follows "is"."""
        for table, of in ((w.TRUE, true), (w.FALSE, low)):
            for j, _ in self.match(i, table):
                yield j, 0.0, Saying(of)
        for table in (w.HOT, ALL_BITS):
            for j, template in self.match(i, table):
                template = template if "{}" in template else template + "({})"
                yield j, 0.0, Saying(filling(template))
        for j, op in self.match(i, w.PLURAL):
            yield j, 0.1, Saying(true, pair=op)
        for j, op in self._comparison(i):
            for end, cost, of in self._against(j, op):
                yield end, cost, Saying(of, each=False)
        yield from self._between(i)
        literal = number(self.words[i]) if i < len(self.words) else None
        if literal is not None:
            yield i + 1, 0.0, Saying(_is(literal))
        for end, cost, of in self._against(i, "=="):
            yield end, cost + 0.6, Saying(of, each=False)

    def _comparison(self, i: int) -> Iterator[tuple[int, str]]:
        start, negative = (i + 1, True) if self.at(i, "not") else (i, False)
        for j in (start, start + 1) if self.at(start, "exactly", "logically", "the", "bitwise") else (start,):
            for end, op in self.match(j, w.COMPARED):
                yield end, OPPOSITE[op] if negative else op

    def _against(self, i: int, op: str) -> Iterator[Reading]:
        """What is compared with what follows: with one thing, or, of several numbers, with each ("is 4 or 5")."""
        for end, cost, right in self.read("object", i):
            yield end, cost, compared(op, right)
        for end, cost, subject in self.read("several", i):
            if len(subject.parts) > 1 and not subject.count and all(number(p.text) for p in subject.parts):
                yield end, cost, _any_of(subject, op)

    def _between(self, i: int) -> Iterator[Reading]:
        start = next((k for k in (i, i + 3) if self.at(k, "between", "from")), None)
        if start is None and not self.at(i, "in"):
            return
        for j, cost, least in self.read("infix", (i if start is None else start) + 1):
            if self.at(j, "and", "to"):
                for end, more, most in self.read("infix", j + 1):
                    yield end, cost + more, Saying(_within(least, most))

    def object(self, i: int) -> Iterator[Reading]:
        """What something is compared with: a term, several, or "whether ..."."""
        for end, cost, e in self.read("operand", i):
            yield end, cost, e
        for end, cost, subject in [*self.read("several", i), *self.read("gerunds", i)]:
            if len(subject.parts) > 1 or subject.count or not subject.parts[0].bare:
                yield end, cost + 0.4, joined(subject, subject.parts)

    def amount(self, i: int) -> Iterator[Reading]:
        """ "an odd number of 1 bits", "no 1 bits", "at least one 0 bit", "odd parity" """
        start = i + 1 if self.at(i, "an", "a", "the") else i
        for j, template in self.match(start, AMOUNTS):
            figure = w.FIGURES.get(self.words[j]) if j < len(self.words) else None
            k = j + 1 if figure else j
            if self.at(k, "bit", "bits"):
                k += 1
            elif not figure and self.words[j - 1] != "parity":
                continue
            for end, told in self._set_to(k):
                yield end, 0.0, _of_figure(template, told or figure or "1")

    def _set_to(self, i: int) -> Iterator[tuple[int, str]]:
        yield i, ""
        j = i + 1 if self.at(i, "set", "equal", "that") else i
        j = j + 1 if self.at(j, "to", "are", "is") else j
        if j > i or self.at(j, "high", "low"):
            told = w.FIGURES.get(self.words[j]) if j < len(self.words) else None
            yield (j + 1, told) if told else (j, "1")


def true(e: Expression) -> Expression:
    text = e.text if e.width == 1 else f"({e.text} != 0)"
    return replace(e, text=text, width=1, bare=False)


def compared(op: str, right: Expression) -> Predicate:
    return lambda e: binary(e, op, right)


def filling(template: str) -> Predicate:
    return lambda e: Expression(f"({template.format(bracketed(e.text))})")


def _any_of(subject: Subject, op: str) -> Predicate:
    return lambda e: joined(subject, [binary(e, op, p) for p in subject.parts])


def _within(least: Expression, most: Expression) -> Predicate:
    return lambda e: Expression(f"({e.text} >= {least.text} && {e.text} <= {most.text})")


def _since(op: str) -> Predicate:
    return lambda e: Expression(f"({e.text} {op} $past({e.text}))")


def _adverb(how: str) -> tuple[bool, str, bool]:
    """Negative, when, together."""
    return how in ("never", "not"), how if how in ("always", "eventually") else "", how == "both"


def _is(literal: str) -> Predicate:
    value = literal.rpartition("b")[2].lstrip("0") or "0"

    def told(e: Expression) -> Expression:
        if e.width == 1 and value in ("0", "1"):
            return true(e) if value == "1" else low(e)
        return Expression(f"({e.text} == {literal})")

    return told


def _stepped(sign: str, step: str) -> Predicate:
    """In the width of the word, so that it wraps as the word does."""

    def told(e: Expression) -> Expression:
        sized = f"{e.width}'d{step}" if step.isdigit() else step
        return Expression(f"({e.text} == $past({e.text}) {sign} {sized})")

    return told


def _of_figure(template: str, figure: str) -> str:
    """The same of the zeros: of the inverted word."""
    return template if figure == "1" else template.replace("{}", "(~{})")
