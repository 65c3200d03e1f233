"""Clauses: what is said of terms ("a is high", "b differs from c", "d has no '1' bits"), and how they combine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kerf.verification.english import words as w
from kerf.verification.english.chart import Reading
from kerf.verification.english.expression import Expression, Saying, Subject, binary, joined, negation, said
from kerf.verification.english.predicates import Predicates, true
from kerf.verification.english.words import number

BOTH_NOT = ("but", "not", "both")
BARE, NO_VERB = 0.7, 1.0  # what it costs that nothing is said of a name, or of a term


class Clauses(Predicates):
    def clause(self, i: int) -> Iterator[Reading]:
        """Something said of something, or a name alone, which says that it is true."""
        yield from self._there(i)
        yield from self.read("state", i)
        for end, cost, subject in [*self.read("several", i), *self.read("gerunds", i)]:
            bare = BARE if all(p.bare for p in subject.parts) and not subject.count else NO_VERB
            if not all(number(p.text) for p in subject.parts):
                yield end, cost + bare, joined(subject, [true(p) for p in subject.parts])
            for comma in (end, end + 1) if self.at(end, ",") else (end,):
                for stop, more, saying in self.read("saying", comma):
                    e = said(subject, saying)
                    if e:
                        yield stop, cost + more + 0.5 * (comma > end), e

    def reduced(self, i: int) -> Iterator[Reading]:
        """A clause without its verb, as a term: "a being high", "b not equal to c"."""
        for end, cost, e in self.read("infix", i):
            for j, negative in self.match(end, w.GERUND):
                for stop, more, saying in self.read("complement", j):
                    if not saying.pair:
                        yield stop, cost + more, negation(saying.of(e)) if negative else saying.of(e)
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

    def state(self, i: int) -> Iterator[Reading]:
        """ "the fifo is not full", where the design has a fifo_full; "the fifo is both full and empty"."""
        start = i + 1 if self.at(i, "the", "a", "an") else i
        for noun in (start + 1, start + 2):
            for j, no in self.match(noun, w.COPULA):
                for k, negative, ever, both in self._adverbs(j):
                    for end, parts, joiner in self._adjectives(start, noun, k):
                        saying = Saying(true, negative=negative != bool(no), when=ever, together=both)
                        yield end, 0.4, said(Subject(parts, joiner), saying)

    def _adjectives(self, start: int, noun: int, i: int) -> Iterator[tuple[int, tuple[Expression, ...], str]]:
        first = self.names.joined(self.tokens[start:noun], self.tokens[i : i + 1])
        if first is None:
            return
        yield i + 1, (Expression(first, bare=True),), ""
        second = self.names.joined(self.tokens[start:noun], self.tokens[i + 2 : i + 3])
        if second and self.at(i + 1, "and", "or", "nor"):
            yield i + 3, (Expression(first), Expression(second)), "&&" if self.at(i + 1, "and") else "||"

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
            for stop, more, of_it in self._which(end, e):
                yield stop, cost + more, of_it
            for j, _ in self.match(end, w.IFF):
                for stop, more, other in self.read("condition", j):
                    yield stop, cost + more, binary(e, "==", other)

    def _which(self, i: int, e: Expression) -> Iterator[Reading]:
        """ "a is less than b, which is equivalent to c", "a and b are high, but this is different from c": said of all that comes before."""
        comma = i + 1 if self.at(i, ",") else i
        starts = [comma + 1] if self.at(comma, "which") else []
        if self.at(comma, "but", "and"):
            starts += [j for j, _ in self.match(comma + 1, w.IT)]
        for start in starts:
            for end, cost, saying in self.read("saying", start):
                found = said(Subject((e,)), saying)
                if found:
                    yield (
                        end,
                        cost + (0.3 if start == comma + 1 else 0.0),
                        found,
                    )  # cheaper than a word left open

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
