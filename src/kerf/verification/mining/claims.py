"""What mining may claim, as SVA and as literals of any graph that has the names: the design's, the one with its mutants, one of free words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kerf.verification.graph import FALSE, TRUE, Graph


@dataclass(frozen=True)
class Bit:
    """A signal of one bit, or bit `index` of a word."""

    name: str
    index: int = -1

    @property
    def text(self) -> str:
        return self.name if self.index < 0 else f"{self.name}[{self.index}]"

    @property
    def opposite(self) -> str:
        return f"!{self.text}"

    def literal(self, view: View) -> int:
        return view.word(self.name)[max(self.index, 0)]


@dataclass(frozen=True)
class Compare:
    """A word and a number. `shown`: the number as text."""

    name: str
    operator: str
    value: int
    shown: str = ""

    @property
    def text(self) -> str:
        return f"{self.name} {self.operator} {self.shown or self.value}"

    @property
    def opposite(self) -> str:
        return f"{self.name} {OPPOSITE[self.operator]} {self.shown or self.value}"

    def literal(self, view: View) -> int:
        bits = view.word(self.name)
        if self.operator == "==":
            return view.graph.equal(bits, self.value)
        return view.at_most(bits, self.value) if self.operator == "<=" else view.at_most(bits, self.value - 1) ^ 1  # fmt: skip


OPPOSITE = {"==": "!=", "<=": ">", ">=": "<"}


@dataclass(frozen=True)
class Same:
    """Two words of one width are equal."""

    left: str
    right: str

    @property
    def text(self) -> str:
        return f"{self.left} == {self.right}"

    @property
    def opposite(self) -> str:
        return f"{self.left} != {self.right}"

    def literal(self, view: View) -> int:
        return view.graph.equal(view.word(self.left), view.word(self.right))


@dataclass(frozen=True)
class OneHot:
    """Exactly one bit of some words is set; with `none`, at most one."""

    names: tuple[str, ...]
    none: bool

    @property
    def text(self) -> str:
        row = self.names[0] if len(self.names) == 1 else "{" + ", ".join(self.names) + "}"
        return f"$onehot{'0' if self.none else ''}({row})"

    @property
    def opposite(self) -> str:
        return f"!{self.text}"

    def literal(self, view: View) -> int:
        graph = view.graph
        some, more = FALSE, FALSE
        for bit in (b for name in self.names for b in view.word(name)):
            more = graph.disjunction(more, graph.conjunction(some, bit))
            some = graph.disjunction(some, bit)
        return more ^ 1 if self.none else graph.conjunction(some, more ^ 1)


@dataclass(frozen=True)
class Since:
    """A word is what `source` was a cycle ago, plus `step`."""

    name: str
    source: str
    step: int = 0

    @property
    def text(self) -> str:
        if self.name == self.source and not self.step:
            return f"$stable({self.name})"
        sign = {0: "", 1: " + 1'b1", -1: " - 1'b1"}[self.step]
        return f"{self.name} == $past({self.source}){sign}"

    @property
    def opposite(self) -> str:
        return f"!({self.text})"

    def literal(self, view: View) -> int:
        before = view.past(self.source)
        wanted = before if not self.step else view.added(before, self.step)
        return view.graph.equal(view.word(self.name), wanted)


Term = Bit | Compare | Same | OneHot | Since


def names_of(term: Term) -> tuple[str, ...]:
    if isinstance(term, Same):
        return term.left, term.right
    if isinstance(term, Since):
        return term.name, term.source
    return term.names if isinstance(term, OneHot) else (term.name,)


@dataclass(frozen=True)
class Fact:
    """A term, or its opposite."""

    term: Term
    holds: bool = True

    @property
    def text(self) -> str:
        return self.term.text if self.holds else self.term.opposite

    def literal(self, view: View) -> int:
        return self.term.literal(view) ^ (not self.holds)


@dataclass(frozen=True)
class Claim:
    """When all of `given` hold, `then` does: in the same cycle, or the next one with `later`."""

    given: tuple[Fact, ...]
    then: Fact
    later: bool = False

    @property
    def text(self) -> str:
        """A property expression of SVA."""
        if not self.given:
            return f"##1 {self.then.text}" if self.later else self.then.text
        return f"{' && '.join(f.text for f in self.given)} {'|=>' if self.later else '|->'} {self.then.text}"

    @property
    def names(self) -> set[str]:
        """Of the words that it is about."""
        terms = [f.term for f in (*self.given, self.then)]
        return {n for t in terms for n in names_of(t)}

    def violated(self, view: View) -> int:
        given = view.graph.all_of(f.literal(view) for f in self.given)
        met = view.before(given) if self.later else given
        return view.graph.conjunction(met, self.then.literal(view) ^ 1)


@dataclass
class View:
    """Words by name in a graph, and what monitors remember of them; each is built once. `words`: name -> literals. A monitor starts with nothing seen."""

    graph: Graph
    words: Mapping[str, Sequence[int]]
    _past: dict[int, int] = field(default_factory=dict)

    def word(self, name: str) -> Sequence[int]:
        return self.words[name]

    def before(self, literal: int) -> int:
        """Its value a cycle ago, false in the first cycle."""
        latch = self._past.get(literal)
        if latch is None:
            latch = self._past[literal] = self.graph.add_latch(0)
            self.graph.set_next(latch, literal)
        return latch

    def past(self, name: str) -> list[int]:
        return [self.before(b) for b in self.words[name]]

    def at_most(self, bits: Sequence[int], value: int) -> int:
        """bits <= value, unsigned."""
        result = TRUE
        for index, bit in enumerate(bits):
            result = self.graph.disjunction(bit ^ 1, result) if value >> index & 1 else self.graph.conjunction(bit ^ 1, result)  # fmt: skip
        return result

    def added(self, bits: Sequence[int], step: int) -> list[int]:
        """One more or one less, around the end."""
        carry, made = TRUE, []
        for bit in bits:
            made.append(self.graph.exclusive_or(bit, carry))
            carry = self.graph.conjunction(carry, bit if step > 0 else bit ^ 1)
        return made


def view_of(graph: Graph) -> View:
    """Of a graph's named signals; monitors are added to it."""
    return View(graph, {name: signal.bits for name, signal in graph.signals.items()})


def negations(claim: Claim) -> int:
    return sum(not f.holds for f in (*claim.given, claim.then))


def exclusive(claims: Sequence[Claim]) -> list[Claim]:
    """Sets of bits of which, by these claims, no two are one together, as one claim each: greedy cliques of the pairs."""
    never: dict[str, set[str]] = {}
    for claim in claims:
        if len(claim.given) == 1 and not claim.later and claim.given[0].holds and not claim.then.holds:
            terms = claim.given[0].term, claim.then.term
            if all(isinstance(t, Bit) and t.index < 0 for t in terms):
                for a, b in (terms, terms[::-1]):
                    never.setdefault(a.text, set()).add(b.text)
    found: list[Claim] = []
    taken: set[str] = set()
    for name in sorted(never, key=lambda n: (-len(never[n]), n)):
        group = [name]
        for other in sorted(never[name], key=lambda n: (-len(never[n]), n)):
            if all(other in never[member] for member in group):
                group.append(other)
        if len(group) > 2 and not set(group) <= taken:
            taken |= set(group)
            found.append(Claim((), Fact(OneHot(tuple(sorted(group)), True))))
    return found
