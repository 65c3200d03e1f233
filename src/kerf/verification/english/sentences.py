"""Sentences: conditions and what follows from them, when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kerf.verification.english import words as w
from kerf.verification.english.chart import Reading
from kerf.verification.english.clauses import Clauses
from kerf.verification.english.expression import Expression, bracketed, negation
from kerf.verification.english.terms import IT
from kerf.verification.english.words import number

CYCLES = {"cycle", "cycles", "clock", "clocks", "tick", "ticks"}
NEXT = w.phrases({
    "next cycle|next clock cycle|following cycle|following clock cycle|subsequent cycle|subsequent clock cycle|next clock|next clock edge|next clock tick|next rising edge|cycle after|clock cycle after|cycle later|cycle that follows|very next cycle": "",
})  # fmt: skip
AFTERWARDS = w.phrases(
    {
        "afterwards|afterward|thereafter|right after|directly after|immediately after|immediately afterwards|subsequently|next": "##1"
    }
)
NOW = w.phrases({
    "for every clock cycle|for each clock cycle|in any cycle|at any cycle|at any clock cycle|in any clock cycle|on each rising edge of the clock|on every rising edge of the clock|at each rising edge of the clock|at every rising edge of the clock|on every clock edge|on each clock cycle|at every cycle|on every cycle|at each cycle|at each rising clock edge|at every rising clock edge|at every clock edge|at each clock edge|at every clock cycle|in every cycle|in each cycle|on every clock cycle|in the same cycle|in the same clock cycle|immediately|at the same time|simultaneously|on each clock edge|at that time|in that cycle|at the clock edge|at all times|at any time": "",
    "eventually|at some point|sooner or later|at some time in the future|in the future|some time later|at some later time": "eventually", "always|from then on|forever|at all later times|ever after|indefinitely|for ever": "always",
})  # fmt: skip
PREVIOUS = w.phrases(
    {
        "in the previous cycle|in the previous clock cycle|one cycle earlier|one cycle before|in the last cycle|a cycle ago|one cycle ago|one clock cycle ago|a cycle earlier|previously": "1"
    }
)
FLOWS = w.phrases({
    f"{no} {verb}": verb.rstrip("s").removesuffix("ed")
    for no in ("does not", "never", "must not", "must never", "cannot", "should not", "should never", "will not", "shall not", "can not", "is never", "can never", "do not")
    for verb in ("overflow", "underflow", "overflows", "underflows", "overflowed", "underflowed")
})  # fmt: skip
STROBES = {
    "overflow": ("full", ("push", "write", "wr", "enq", "enqueue", "put", "we", "wen")),
    "underflow": ("empty", ("pop", "read", "rd", "deq", "dequeue", "get", "re", "ren")),
}
UNTIL = w.phrases({"until|till|up until": ""})
BEFORE = w.phrases({"before": ""})
IN = ("in", "on", "at", "by", "during", "exactly", "precisely", "just")


@dataclass(frozen=True)
class Timing:
    """`delay`: "##1", "##[2:4]" or ""; `when`: "eventually", "always" or ""; `ago`: cycles into the past."""

    delay: str = ""
    when: str = ""
    ago: str = ""


@dataclass(frozen=True)
class Consequence:
    """A property: `expression`, at `timing`, until `until` holds."""

    expression: Expression
    timing: Timing = Timing()
    until: str = ""

    def text(self) -> str:
        inner = bracketed(self.expression.text)
        if self.timing.ago:
            inner = f"$past({self.expression.text}, {self.timing.ago})"
        when = self.timing.when or self.expression.when
        if self.until:
            inner = f"({inner} until {bracketed(self.until)})"
        elif when:
            inner = f"s_eventually {inner}" if when == "eventually" else f"always {inner}"
        return inner


class Sentences(Clauses):
    def sentence(self, i: int) -> Iterator[Reading]:
        for start in self._begun(i):
            for end, cost, text in self.read("statement", start):
                yield end, cost + 0.01 * (start == i), ("", text)
                for comma in self._comma(end):
                    for j, _ in self.match(comma, w.UNLESS):
                        yield from self._unless(j, cost, text)

    def _unless(self, i: int, cost: float, text: str) -> Iterator[Reading]:
        for end, _ in self.match(i, w.IN_RESET):
            if len(self.names.resets()) == 1:
                yield end, cost, (self.names.resets()[0], text)
        for end, more, e in self.read("condition", i):
            if w.RESETS.search(e.text):
                yield end, cost + more, (e.text, text)
            elif "|->" in text or "|=>" in text:
                sign = "|->" if "|->" in text else "|=>"
                premise, _, rest = text.partition(f" {sign} ")
                yield end, cost + more + 0.1, ("", f"({premise} && {negation(e).text}) {sign} {rest}")
            else:
                yield end, cost + more + 0.1, ("", f"{negation(e).text} |-> {text}")

    def _begun(self, i: int) -> Iterator[int]:
        yield i
        for j, _ in self.match(i, w.LEAD):
            yield from self._begun(j + self.at(j, ","))

    def _comma(self, i: int) -> Iterator[int]:
        yield i
        if self.at(i, ","):
            yield i + 1

    def statement(self, i: int) -> Iterator[Reading]:
        yield from self._conditional(i)
        yield from self._never(i)
        yield from self._flow(i)
        yield from self._plain(i)
        yield from self._joined(i)

    def _conditional(self, i: int) -> Iterator[Reading]:
        """ "if a, then b" """
        for start, after in self.match(i, w.IF):
            for end, cost, premise in self.read("premise", start):
                for j, clear in self._then(end):
                    for stop, more, c in self.read("consequence", j):
                        if after and c.timing == Timing():
                            c = replace(c, timing=Timing("##1"))
                        yield stop, cost + more + clear, _about(premise, c)
                        for other in self._comma(stop):
                            if self.at(other, "else", "otherwise"):
                                yield from self._else(other + 1, cost + more + clear, premise, c)
                    for stop, _ in self.match(j, w.HOLDS):
                        yield stop, cost + clear, bracketed(premise.text)

    def _else(self, i: int, cost: float, premise: Expression, c: Consequence) -> Iterator[Reading]:
        for end, more, other in self.read("consequence", i):
            yield end, cost + more, f"({implied(premise, c)}) and ({implied(negation(premise), other)})"

    def _then(self, i: int) -> Iterator[tuple[int, float]]:
        j = i + 1 if self.at(i, ",") else i
        k = j + 1 if self.at(j, "then") else j
        yield k, 0.0 if k > i else 0.8

    def premise(self, i: int) -> Iterator[Reading]:
        """A condition, perhaps of the past."""
        for end, cost, e in (r for start in self._begun(i) for r in self.read("condition", start)):
            yield end, cost, e
            for j, timing in self._timing(end):
                if timing.ago:
                    yield j, cost, Expression(f"$past({e.text}, {timing.ago})")
            for j, cycles, delay in self._lasting(end):
                if not delay:
                    yield j, cost, Expression(f"({bracketed(e.text)} [*{cycles}])")

    def _lasting(self, i: int) -> Iterator[tuple[int, str, str]]:
        """ "for 3 consecutive cycles", "for the next 3 cycles": from now on, or from the next cycle on."""
        if not self.at(i, "for"):
            return
        begun = next((k for k in (i + 1, i + 2) if self.at(k, "next")), None)
        at = begun + 1 if begun else i + 2 if self.at(i + 1, "at") and self.at(i + 2, "least") else i + 1
        count = number(self.words[at]) if at < len(self.words) else None
        j = at + 1
        while count and self.at(j, "consecutive", "successive", "clock", "full"):
            j += 1
        if count and self.at(j, "cycles", "cycle", "clocks"):
            yield j + 1, count, "##1" if begun else ""

    def _flow(self, i: int) -> Iterator[Reading]:
        """ "the fifo never overflows": nothing is pushed while it is full."""
        for verb in range(i + 1, min(i + 5, len(self.words))):
            for end, what in self.match(verb, FLOWS):
                flag, strobes = STROBES[what]
                found = [self.names.like((flag,), end), self.names.like(strobes, end)]
                if all(found):
                    yield end, 0.5, f"!({found[0]} && {found[1]})"

    def _never(self, i: int) -> Iterator[Reading]:
        for j, _ in self.match(i, w.NEVER):
            for end, cost, e in self.read("condition", j):
                yield end, cost, negation(e).text

    def _plain(self, i: int) -> Iterator[Reading]:
        """ "a is high", "a is high whenever b is low", "a until b" """
        for end, cost, c in self.read("consequence", i):
            yield end, cost + 0.2, alone(c)
            for comma in self._comma(end):
                for j, only in self.match(comma, w.WHEN):
                    for stop, more, premise in self.read("premise", j):
                        if only == "after":
                            if c.timing == Timing():
                                yield (
                                    stop,
                                    cost + more + 0.2,
                                    implied(premise, replace(c, timing=Timing("##1"))),
                                )
                        elif not only:
                            yield stop, cost + more + 0.2, implied(premise, c)
                        elif c.timing == Timing() and not c.until:
                            yield stop, cost + more + 0.2, implied(c.expression, Consequence(premise))
            if self.at(end, "while") and "$stable" in c.expression.text:
                for stop, more, e in self.read("condition", end + 1):
                    yield stop, cost + more, f"($past({e.text}) && {e.text}) |-> {c.text()}"
            for stop, _ in self.match(end, w.HOLDS):
                yield stop, cost + 0.3, alone(c)

    def _joined(self, i: int) -> Iterator[Reading]:
        """ "a implies b", "each a is followed by b", "a before b" """
        starts = (i, i + 1) if self.at(i, "each", "every", "any", "a", "an") else (i,)
        for end, cost, premise in (r for start in starts for r in self.read("premise", start)):
            for j, _ in [*self.match(end, w.IMPLIES), *self.match(end, w.FOLLOWED)]:
                for stop, more, c in self.read("consequence", j):
                    yield stop, cost + more, implied(premise, c)
            for j, _ in self.match(end, BEFORE):
                for stop, more, e in self.read("condition", j):
                    yield stop, cost + more + 0.1, f"{negation(e).text} until {bracketed(premise.text)}"

    def consequence(self, i: int) -> Iterator[Reading]:
        """ "then, within 4 cycles, b is high", "b is high two cycles later" """
        for start in self._begun(i):
            yield from self._consequence(start, Timing())
            for j, timing in self._timing(start):
                for comma in self._comma(j):
                    for begun in self._begun(comma):
                        yield from self._consequence(begun, timing)

    def _consequence(self, i: int, timing: Timing) -> Iterator[Reading]:
        negative = next((j for j, _ in self.match(i, w.NEVER)), None)
        for end, cost, e in self.read("condition", negative or i):
            e = negation(e) if negative else e
            yield end, cost, Consequence(e, timing)
            for j, cycles, delay in self._lasting(end):
                lasting = replace(e, text=f"({bracketed(e.text)} [*{cycles}])")
                yield j, cost, Consequence(lasting, _both(timing, Timing(delay)))
            for comma in self._comma(end):
                for j, later in self._timing(comma):
                    whole = Consequence(e, _both(timing, later))
                    yield j, cost + 0.01, whole
                    yield from self._and_again(j, cost + 0.01, whole)
                for j, _ in self.match(comma, UNTIL):
                    for stop, more, until in self.read("condition", j):
                        yield stop, cost + more, Consequence(e, timing, until.text)

    def _and_again(self, i: int, cost: float, first: Consequence) -> Iterator[Reading]:
        """ "a is high in the next cycle and b is low in the next cycle" """
        comma = i + 1 if self.at(i, ",") else i
        if self.at(comma, "and"):
            for end, more, second in self.read("consequence", comma + 1):
                if second.timing == first.timing and not second.until:
                    both = Expression(f"({first.expression.text} && {second.expression.text})")
                    yield end, cost + more + 0.05, replace(first, expression=both)

    def _timing(self, i: int) -> Iterator[tuple[int, Timing]]:
        for j, when in self.match(i, NOW):
            yield j, Timing(when=when)
        for j, ago in self.match(i, PREVIOUS):
            yield j, Timing(ago=ago)
        for j, delay in self.match(i, AFTERWARDS):
            yield j, Timing(delay)
        start = max(self.maybe(i, w.SOME_TIME))
        while self.at(start, *IN):
            start += 1
        yield from self._next(start)
        for j, delay, ago in self._cycles(start):
            yield j, Timing(delay, ago=ago)

    def _next(self, i: int) -> Iterator[tuple[int, Timing]]:
        start = i + 1 if self.at(i, "the", "its", "one", "a") else i
        for j, _ in self.match(start, NEXT):
            yield j, Timing("##1")

    def _cycles(self, i: int) -> Iterator[tuple[int, str, str]]:
        """ "after 4 cycles", "within 3 to 7 clock cycles", "between 5 and 9 cycles later", "seven cycles ago" """
        word = self.words[i] if self.at(i, "after", "within", "between", "from", "at") else ""
        j = i + bool(word)
        while self.at(j, "the", "next", "exactly", "precisely", "a", "maximum", "of", "least", "most", "in"):
            j += 1
        low = number(self.words[j]) if j < len(self.words) else None
        if low is None:
            return
        high = (
            number(self.words[j + 2])
            if self.at(j + 1, "to", "and", "-", "or") and j + 2 < len(self.words)
            else None
        )
        k = j + 3 if high else j + 1
        end = k
        while end < len(self.words) and self.words[end] in CYCLES:
            end += 1
        if end == k:
            return
        later = self.at(end, "later", "after", "afterwards", "from", "afterward")
        stop = end + later + (2 if self.at(end, "from") else 0)
        if self.at(end, "ago", "earlier", "before", "prior", "previously"):
            yield end + 1, "", low
        elif high:
            yield stop, f"##[{low}:{high}]", ""
        elif word == "within" or "most" in self.words[i:j]:
            yield stop, f"##[{1 if 'next' in self.words[i:j] else 0}:{low}]", ""
        elif "least" in self.words[i:j]:
            yield stop, f"##[{low}:$]", ""
        elif word or later or self.at(i - 1, *IN):
            yield stop, f"##{low}", ""


def _both(a: Timing, b: Timing) -> Timing:
    return replace(a, delay=a.delay or b.delay, when=a.when or b.when, ago=a.ago or b.ago)


def _about(premise: Expression, c: Consequence) -> str:
    """ "if a, then b", or, where b speaks of "it", b of a."""
    if IT not in c.expression.text:
        return implied(premise, c)
    return alone(
        replace(c, expression=replace(c.expression, text=c.expression.text.replace(IT, premise.text)))
    )


def implied(premise: Expression, c: Consequence) -> str:
    sign, delay = (
        ("|=>", "") if c.timing.delay == "##1" else ("|->", f"{c.timing.delay} " if c.timing.delay else "")
    )
    return f"{bracketed(premise.text)} {sign} {delay}{c.text()}"


def alone(c: Consequence) -> str:
    """A property with no premise; what is always so needs no operator, as assertions are."""
    if (c.timing.when or c.expression.when) == "always" and not c.until:
        c = Consequence(replace(c.expression, when=""), replace(c.timing, when=""))
    return f"{c.timing.delay} {c.text()}".strip()
