"""Clauses: what is said of terms ("a is high", "b differs from c", "d has no '1' bits"), and how they combine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kerf.verification.english import words as w
from kerf.verification.english.chart import Reading
from kerf.verification.english.expression import (
    Expression,
    Saying,
    Subject,
    binary,
    bracketed,
    joined,
    low,
    negation,
    said,
)
from kerf.verification.english.terms import Terms
from kerf.verification.english.words import number

HAVING = w.phrases({"has|have|contains|contain|having|containing": "", "does not have|do not have|does not contain|do not contain|not contain|not have": "not"})  # fmt: skip
AMOUNTS = w.phrases({
    "odd number of": "^{}", "even number of": "~^{}", "at least one|at least 1|one or more|some|any": "|{}", "no|zero|none": "~|{}", "all|only": "&{}",
    "exactly one|exactly 1|only one|a single": "$onehot({})", "at most one|at most 1|no more than one": "$onehot0({})", "more than one": "!$onehot0({})",
})  # fmt: skip
OCCURS = w.phrases({"occurs|happens|arrives|is seen|comes|occur|happen|appear|appears|is received|be received|is given|be given|arrive|come|follow|follows|be present|is present": ""})  # fmt: skip
ALL_BITS = w.phrases(
    {"all ones|all 1 bits|all 1|all high": "&{}", "all zeros|all zeroes|all 0 bits|all 0|all low": "~|{}"}
)
BOTH_NOT = ("but", "not", "both")
BARE = 0.7


class Clauses(Terms):
    def clause(self, i: int) -> Iterator[Reading]:
        """Something said of something, or a name alone, which says that it is true."""
        yield from self._there(i)
        for end, cost, subject in [*self.read("several", i), *self.read("gerunds", i)]:
            bare = BARE if all(p.bare for p in subject.parts) and not subject.count else 0.3
            yield end, cost + bare, joined(subject, subject.parts)
            for stop, more, saying in self.read("saying", end):
                e = said(subject, saying)
                if e:
                    yield stop, cost + more, e

    def reduced(self, i: int) -> Iterator[Reading]:
        """A clause without its verb, as a term: "a being high", "b not equal to c"."""
        for end, cost, e in self.read("infix", i):
            for j, negative in self.match(end, w.GERUND):
                for stop, more, saying in self.read("complement", j):
                    if not saying.pair:
                        yield stop, cost + more, _negated(saying.of(e), negative)
            for j, op in self._comparison(end):
                for stop, more, right in self.read("infix", j):
                    yield stop, cost + more + 0.2, binary(e, op, right)

    def gerunds(self, i: int) -> Iterator[Reading]:
        """ "a being high while b is low" as a subject."""
        for end, cost, e in self.read("reduced", i):
            for j, _ in self.match(end, w.AND):
                for stop, more, other in self.read("both", j):
                    yield stop, cost + more + 0.2, Subject((Expression(f"({e.text} && {other.text})"),))

    def _there(self, i: int) -> Iterator[Reading]:
        if not (self.at(i, "there") and self.at(i + 1, "is", "are", "will", "must", "was")):
            return
        j = i + 3 if self.at(i + 2, "be") else i + 2
        negative = self.at(j, "no", "not")
        j += negative + self.at(j + negative, "a", "an")
        changed = self.at(j, "change") and self.at(j + 1, "in", "of")
        for end, cost, e in self.read("operand", j + 2 if changed else j):
            e = Expression(f"$changed({e.text})") if changed else e
            yield end, cost + 0.1, negation(e) if negative else replace(e, bare=False)

    def saying(self, i: int) -> Iterator[Reading]:
        """The verb of a clause and what follows it."""
        yield from self._with_adverbs(i, "", "", 0)
        for j, op in self._comparison(i):  # "a not equal to b"
            for end, cost, right in self.read("object", j):
                yield end, cost + 0.3, Saying(_compare(op, right), each=False)

    def _with_adverbs(self, i: int, negative: str, when: str, depth: int) -> Iterator[Reading]:
        yield from self._verb(i, negative, when)
        if depth < 4:
            for j, no in self.match(i, w.MODAL):
                yield from self._with_adverbs(j, _flip(negative, no), when, depth + 1)
            for j, how in self.match(i, w.ADVERB):
                no, ever = ("not", "always") if how == "never" else ("not", "") if how == "not" else ("", how)
                yield from self._with_adverbs(j, _flip(negative, no), ever or when, depth + 1)

    def _verb(self, i: int, negative: str, when: str) -> Iterator[Reading]:
        for end, cost, saying in self._verbs(i):
            for stop in self.maybe(end, w.SAME_TIME):
                of = (lambda e, saying=saying: negation(saying.of(e))) if negative else saying.of
                pair = {"==": "!=", "!=": "=="}[saying.pair] if negative and saying.pair else saying.pair
                yield stop, cost, Saying(of, saying.each, pair, saying.when or when)

    def _verbs(self, i: int) -> Iterator[Reading]:
        for j, function in self.match(i, w.EDGES):
            yield j, 0.0, Saying(lambda e, f=function: Expression(f"{f}({e.text})"))
        for j, op in self.match(i, w.VERBS):
            for end, cost, right in self.read("object", j):
                yield end, cost, Saying(_compare(op, right), each=False)
        for j, _ in self.match(i, OCCURS):
            yield j, 0.1, Saying(_true)
        for j, negative in self.match(i, HAVING):
            for end, cost, template in self.read("amount", j):
                yield end, cost, Saying(lambda e, t=template, n=negative: _negated(_filled(t, e), n))
            for end, op in self.match(j, w.PLURAL):
                yield end, 0.0, Saying(_true, pair=op)
        for j, no in self.match(i, w.COPULA):
            for k, no2, ever in self._adverbs(j):
                for end, cost, saying in self.read("complement", k):
                    negative = _flip(no, no2)
                    of = (lambda e, s=saying: negation(s.of(e))) if negative else saying.of
                    pair = {"==": "!=", "!=": "=="}[saying.pair] if negative and saying.pair else saying.pair
                    yield end, cost, Saying(of, saying.each, pair, ever)

    def _adverbs(self, i: int) -> Iterator[tuple[int, str, str]]:
        yield i, "", ""
        for j, how in self.match(i, w.ADVERB):
            no, ever = ("not", "always") if how == "never" else ("not", "") if how == "not" else ("", how)
            for k, no2, more in self._adverbs(j):
                yield k, _flip(no, no2), ever or more

    def complement(self, i: int) -> Iterator[Reading]:
        """What follows "is"."""
        for j, _ in self.match(i, w.TRUE):
            yield j, 0.0, Saying(_true)
        for j, _ in self.match(i, w.FALSE):
            yield j, 0.0, Saying(low)
        literal = number(self.words[i]) if i < len(self.words) else None
        if literal is not None:
            yield i + 1, 0.0, Saying(lambda e, n=literal: _is(e, n))
        for j, function in self.match(i, w.HOT):
            yield j, 0.0, Saying(lambda e, f=function: Expression(f"{f}({e.text})"))
        for j, template in self.match(i, ALL_BITS):
            yield j, 0.0, Saying(lambda e, t=template: _filled(t, e))
        for j, op in self.match(i, w.PLURAL):
            yield j, 0.1, Saying(_true, pair=op)
        for j, op in self._comparison(i):
            for end, cost, right in self.read("object", j):
                yield end, cost, Saying(_compare(op, right), each=False)
        yield from self._between(i)
        for end, cost, right in self.read("infix", i):
            yield end, cost + 0.6, Saying(_compare("==", right), each=False)

    def _comparison(self, i: int) -> Iterator[tuple[int, str]]:
        opposite = {"==": "!=", "!=": "==", ">": "<=", "<": ">=", ">=": "<", "<=": ">"}
        start, negative = (i + 1, True) if self.at(i, "not") else (i, False)
        for j in (start, start + 1) if self.at(start, "exactly", "logically", "the", "bitwise") else (start,):
            for end, op in self.match(j, w.COMPARED):
                yield end, opposite[op] if negative else op

    def _between(self, i: int) -> Iterator[Reading]:
        if self.at(i, "between"):
            for j, cost, least in self.read("infix", i + 1):
                if self.at(j, "and", "to"):
                    for end, more, most in self.read("infix", j + 1):
                        yield end, cost + more, Saying(lambda e, a=least, b=most: Expression(f"({e.text} >= {a.text} && {e.text} <= {b.text})"))  # fmt: skip

    def object(self, i: int) -> Iterator[Reading]:
        """What something is compared with: a term, several, or "whether ..."."""
        for end, cost, e in self.read("operand", i):
            yield end, cost, e
        for end, cost, subject in self.read("several", i):
            if len(subject.parts) > 1:
                yield end, cost + 0.4, joined(subject, subject.parts)

    def amount(self, i: int) -> Iterator[Reading]:
        """ "an odd number of 1 bits", "no 1 bits", "at least one 0 bit" """
        start = i + 1 if self.at(i, "an", "a", "the") else i
        for j, template in self.match(start, AMOUNTS):
            figure = w.FIGURES.get(self.words[j]) if j < len(self.words) else None
            k = j + 1 if figure else j
            if self.at(k, "bit", "bits"):
                k += 1
            elif not figure:
                continue
            for end, told in self._set_to(k):
                yield end, 0.0, _of_figure(template, told or figure or "1")

    def _set_to(self, i: int) -> Iterator[tuple[int, str]]:
        yield i, ""
        j = i + 1 if self.at(i, "set", "equal", "that") else i
        j = j + 1 if self.at(j, "to", "are", "is") else j
        if j > i:
            told = w.FIGURES.get(self.words[j]) if j < len(self.words) else None
            yield (j + 1, told) if told else (j, "1")

    # how clauses combine, from tight to loose: and, xor, or; after a comma: and, or

    def both(self, i: int) -> Iterator[Reading]:
        yield from self._chain("clause", i, w.AND, "&&", comma=False)

    def one(self, i: int) -> Iterator[Reading]:
        yield from self._chain("both", i, w.XOR, "^", comma=False)

    def some(self, i: int) -> Iterator[Reading]:
        for end, cost, e in self._chain("one", i, w.OR, "||", comma=False):
            yield end, cost, e
            j = end + 1 if self.at(end, ",") else end
            if tuple(self.words[j : j + 3]) == BOTH_NOT and "||" in e.text:
                yield j + 3, cost, Expression(e.text.replace("||", "^", 1))

    def wide_both(self, i: int) -> Iterator[Reading]:
        yield from self._chain("some", i, w.AND, "&&", comma=True)

    def wide_one(self, i: int) -> Iterator[Reading]:
        yield from self._chain("wide_both", i, w.XOR, "^", comma=True)

    def condition(self, i: int) -> Iterator[Reading]:
        for end, cost, e in self._chain("wide_one", i, w.OR, "||", comma=True):
            yield end, cost, e
            for j, _ in self.match(end, w.IFF):
                for stop, more, other in self.read("condition", j):
                    yield stop, cost + more, binary(e, "==", other)

    def _chain(self, kind: str, i: int, table: dict[tuple[str, ...], str], op: str, comma: bool) -> Iterator[Reading]:  # fmt: skip
        starts = (i, i + 1) if self.at(i, "either", "both") else (i,)
        for start in starts:
            for end, cost, e in self.read(kind, start):
                yield end, cost, e
                yield from self._more(kind, end, cost, e, table, op, comma)

    def _more(self, kind: str, i: int, cost: float, left: Expression, table: dict[tuple[str, ...], str], op: str, comma: bool) -> Iterator[Reading]:  # fmt: skip
        if comma and not self.at(i, ","):
            return
        for j, said_op in self.match(i + 1 if comma else i, table):
            for end, more, right in self.read(kind, j):
                made = binary(left, said_op or op, right)
                yield end, cost + more + 0.02, made
                yield from self._more(kind, end, cost + more + 0.02, made, table, op, comma)


def _true(e: Expression) -> Expression:
    text = e.text if e.width == 1 else f"({e.text} != 0)"
    return replace(e, text=text, width=1, bare=False)


def _is(e: Expression, literal: str) -> Expression:
    value = literal.rpartition("b")[2].lstrip("0") or "0"
    if e.width == 1 and value in ("0", "1"):
        return _true(e) if value == "1" else low(e)
    return Expression(f"({e.text} == {literal})")


def _compare(op: str, right: Expression):  # type: ignore[no-untyped-def]
    return lambda e: binary(e, op, right)


def _negated(e: Expression, negative: str) -> Expression:
    return negation(e) if negative else e


def _flip(a: str, b: str) -> str:
    return "not" if bool(a) != bool(b) else ""


def _filled(template: str, e: Expression) -> Expression:
    return Expression(f"({template.format(bracketed(e.text))})")


def _of_figure(template: str, figure: str) -> str:
    """The same of the zeros: of the inverted word."""
    return template if figure == "1" else template.replace("{}", "(~{})")
