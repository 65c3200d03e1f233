"""Terms: names, numbers, and what is computed from them ("the XOR of a and b", "the number of ones in c", "whether d equals e")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kerf.verification.english import words as w
from kerf.verification.english.chart import Chart, Reading
from kerf.verification.english.expression import Expression, Subject, binary, bracketed, combined, negation
from kerf.verification.english.names import Found, Names
from kerf.verification.english.words import Token, number

COUNTS = w.phrases({
    "exactly one of|exactly one among|only one of|just one of": "one", "at most one of|no more than one of|not more than one of": "at most one",
    "none of|no": "none", "at least one of|any of|one or more of|some of": "some", "neither": "none", "not both|not all of": "not all",
})  # fmt: skip
BITS = w.phrases({
    "all bits|every bit|each bit|all of the bits|all the bits|each of the bits": "all", "any bit|at least one bit|some bit|one or more bits|any bits|any of the bits": "any",
    "no bit|no bits|none of the bits|not any bit": "none", "not all bits|not every bit|not all of the bits": "some low",
})  # fmt: skip
READ_BITS = {
    "all": ("(&{})", "(~|{})"),
    "any": ("(|{})", "(~&{})"),
    "none": ("(~|{})", "(&{})"),
    "some low": ("(~&{})", "(|{})"),
}
COUNTED = w.phrases({"number of ones in|number of 1 bits in|number of set bits in|number of high bits in|number of bits set in|count of ones in|population count of|number of ones of": "$countones"})  # fmt: skip
ONE_OPERAND = (
    0.5  # what it costs to read "the AND of a" as over the bits of a, where more operands may follow
)
EDGE_OF = w.phrases({"rising edge of|rise of|transition to high of|assertion of": "$rose", "falling edge of|fall of|transition to low of|deassertion of": "$fell", "change of|change in|transition of|toggle of|toggling of": "$changed"})  # fmt: skip
WAYS = w.phrases({"from low to high|from 0 to 1|to high|to 1": "$rose", "from high to low|from 1 to 0|to low|to 0": "$fell"})  # fmt: skip
OLD = w.phrases({"previous value of|last value of|old value of|past value of": "$past"})


IT = "it_"
JOINERS = ((w.phrases({"and|with|&&": ""}), "&&"), (w.phrases({"or|nor": ""}) | {("||",): ""}, "||"))
OR_BOTH = w.phrases({"( or both )|or both": ""})


class Terms(Chart):
    def __init__(self, tokens: list[Token], names: Names) -> None:
        super().__init__(tokens)
        self.names = names
        self.used: dict[str, Found] = {}

    def unit(self, i: int) -> Iterator[Reading]:
        yield from self._named(i)
        yield from self._referring(i)
        for j in self.maybe(i, w.IGNORED):
            yield from self._built(j)
        for j, _ in self.match(i, w.NOT):
            for end, cost, e in self.read("unit", j):
                yield end, cost, negation(e)
        if self.at(i, "(", ","):
            yield from self._enclosed(i)

    def _named(self, i: int) -> Iterator[Reading]:
        for found in self.names.at(self.tokens, i):
            self.used[" ".join(t.text for t in self.tokens[i : found.end])] = found
            e = Expression(found.text, found.width, bare=True)
            yield found.end, found.cost, e
            if self.at(found.end, "s"):  # its value, its bits
                yield found.end + 2, found.cost, e
            for end, cycles in self._ago(found.end):
                yield end, found.cost + 0.1, Expression(f"$past({e.text}, {cycles})", e.width)

    def _ago(self, i: int) -> Iterator[tuple[int, str]]:
        """ "3 clock cycles ago" """
        start = i + 1 if self.at(i, "from") else i
        count = number(self.words[start]) if start < len(self.words) else None
        end = start + 1
        while count and self.at(end, "clock", "cycle", "cycles"):
            end += 1
        if count and end > start + 1 and self.at(end, "ago", "earlier"):
            yield end + 1, count

    def _referring(self, i: int) -> Iterator[Reading]:
        """ "it", "this result": what the sentence's condition is about."""
        for j, _ in self.match(i, w.IT):
            yield j, 0.2, Expression(IT)

    def _enclosed(self, i: int) -> Iterator[Reading]:
        if self.at(i, "("):
            for end, cost, e in self.read("condition", i + 1):
                if self.at(end, ")"):
                    yield end + 1, cost, Expression(bracketed(e.text), e.width)

    def _built(self, i: int) -> Iterator[Reading]:
        literal = number(self.words[i]) if i < len(self.words) else None
        if literal is not None:
            yield i + 1, 0.0, Expression(literal, 32)
        for j, _ in [*self.match(i, w.NEGATION), *self.match(i, w.UNARY)]:
            for end, cost, e in self.read("unit", j):
                yield end, cost, negation(e) if e.width == 1 else Expression(f"(~{e.text})", e.width)
        for table in (COUNTED, OLD):
            for j, function in self.match(i, table):
                for end, cost, e in self.read("unit", j):
                    yield end, cost, Expression(f"{function}({e.text})", 32 if table is COUNTED else e.width)
        yield from self._valued(i)
        yield from self._operation(i)
        yield from self._parity(i)
        yield from self._edge(i)
        if self.at(i, "bit") and self.at(i + 2, "of", "in") and number(self.words[i + 1]):
            for found in self.names.at(self.tokens, i + 3):
                yield found.end, found.cost, Expression(f"{found.text}[{number(self.words[i + 1])}]")

    def _valued(self, i: int) -> Iterator[Reading]:
        """ "the value of ...", "whether ..." """
        for j, _ in self.match(i, w.VALUE):
            clause = self.words[j - 1] in ("whether", "that", "where", "when")
            for end, cost, e in self.read("some" if clause else "operand", j):
                yield end, cost + 0.05, replace(e, clause=e.clause or clause)

    def _edge(self, i: int) -> Iterator[Reading]:
        """ "a rising edge of a", "the transition of a from high to low" """
        for j, function in self.match(i, EDGE_OF):
            for end, cost, e in self.read("unit", j):
                yield end, cost + 0.1, Expression(f"{function}({e.text})")
                for stop, way in self.match(end, WAYS):
                    yield stop, cost + 0.05, Expression(f"{way}({e.text})")

    def _parity(self, i: int) -> Iterator[Reading]:
        if self.at(i, "parity") and self.at(i + 1, "of"):
            for end, cost, e in self.read("unit", i + 2):
                yield end, cost, combined("^", [e])

    def _operation(self, i: int) -> Iterator[Reading]:
        """ "the bitwise XOR of a and b", "the OR reduction of a" """
        for start in self._kinds(i):
            for j, op in self.match(start, w.OPERATIONS):
                for k in (j, j + 1) if self.at(j, "reduction", "operation", "result") else (j,):
                    for args, _ in self.match(k, w.OF):
                        yield from self._arguments(args, op)

    def _kinds(self, i: int) -> Iterator[int]:
        yield i
        for j, _ in self.match(i, w.OPERATION_KIND):
            yield from self._kinds(j)

    def _arguments(self, i: int, op: str) -> Iterator[Reading]:
        reduces = op in ("&", "|", "^", "~&", "~|", "~^")
        start = next(self._after_bits(i), None)
        for end, cost, subject in self.read("several", i) if start is None else ():
            if not subject.count and (len(subject.parts) > 1 or reduces):
                alone = ONE_OPERAND if len(subject.parts) == 1 and self.words[i - 2] != "reduction" else 0.0
                yield end, cost + alone, combined(op, subject.parts)
        if start is not None:
            for end, cost, e in self.read("unit", start):
                yield end, cost, combined(op, [e])

    def _after_bits(self, i: int) -> Iterator[int]:
        for start in (i, i + 1, i + 2):
            if (
                self.at(start, "bits")
                and self.at(start + 1, "of", "in")
                and all(v in ("all", "the") for v in self.words[i:start])
            ):
                yield start + 2

    def bits(self, i: int) -> Iterator[Reading]:
        """ "all bits of a" """
        for j, which in self.match(i, BITS):
            if self.at(j, "of", "in"):
                for end, cost, e in self.read("unit", j + 1):
                    high, low = (t.format(bracketed(e.text)) for t in READ_BITS[which])
                    yield end, cost, Expression(high, low=low)

    def infix(self, i: int) -> Iterator[Reading]:
        """ "a XOR b plus c", from the left."""
        for end, cost, e in [*self.read("bits", i), *self.read("unit", i)]:
            yield end, cost, e
            yield from self._continued(end, cost, e)

    def _continued(self, i: int, cost: float, left: Expression) -> Iterator[Reading]:
        for comma in (i, i + 1) if self.at(i, ",") else (i,):
            places = list(self._kinds(comma))
            for j, op in [m for k in places for t in (w.XOR, w.ARITHMETIC) for m in self.match(k, t)]:
                for end, more, right in self.read("unit", j):
                    made = binary(left, op, right)
                    yield end, cost + more, made
                    yield from self._continued(end, cost + more, made)

    def operand(self, i: int) -> Iterator[Reading]:
        """A term, or a clause that is one: "a being high", "b not equal to c"."""
        yield from self.read("infix", i)
        for end, cost, e in self.read("reduced", i):
            yield end, cost + 0.1, e

    def several(self, i: int) -> Iterator[Reading]:
        """ "a", "both a and b", "a, b, or c", "exactly one of a and b" """
        for j in (i, i + 1) if self.at(i, "both", "either") else (i,):
            for end, cost, subject in self._listed(j, [], 0.0, "", ""):
                for stop in self.maybe(end, OR_BOTH):
                    yield stop, cost, subject
        for j, count in self.match(i, COUNTS):
            yield from self._listed(j, [], 0.0, "", count)

    def _listed(self, i: int, parts: Sequence[Expression], cost: float, joiner: str, count: str) -> Iterator[Reading]:  # fmt: skip
        for end, more, e in self.read("operand", i):
            now = [*parts, e]
            if len(now) == 1 or joiner:
                yield end, cost + more + (0.1 if len(now) > 1 else 0), Subject(tuple(now), joiner, count)
            for j, said in self._separators(end):
                if not joiner or said == joiner or not said:
                    yield from self._listed(j, now, cost + more, said or joiner, count)

    def _separators(self, i: int) -> Iterator[tuple[int, str]]:
        comma = i + 1 if self.at(i, ",") else i
        for table, joiner in JOINERS:
            for end, _ in self.match(comma, table):
                yield end, joiner
        if comma != i:
            yield comma, ""
