"""The places of a design's source where something may be changed: expressions, assignments, branches, parameters.

Offsets are of bytes in the source's text. A place in a module that has several instances is one place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

Key = tuple[str, str]  # a module's name and a word's


@dataclass(frozen=True, order=True)
class Span:
    source: str
    start: int
    end: int


@dataclass(frozen=True)
class Word:
    """A variable, net or parameter of a module that expressions may name. `width` in bits."""

    name: str
    width: int
    signed: bool
    kind: str  # port, variable, parameter


@dataclass
class Module:
    """`header`: behind its ports, `end`: at `endmodule`; `paths`: of its instances, each "" or ending in "."."""

    name: str
    header: Span
    end: Span
    paths: list[str] = field(default_factory=list)
    words: dict[str, Word] = field(default_factory=dict)
    clocks: set[str] = field(default_factory=set)
    conditions: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Process:
    """An always block or a continuous assignment. `targets`: names that it assigns; `span`: of an always block's statement."""

    number: int
    module: str
    clocked: bool
    targets: tuple[str, ...]
    span: Span | None = None
    local: bool = False  # inside a generate block

    @property
    def combinational(self) -> bool:
        return not self.clocked


@dataclass(frozen=True)
class Expr:
    """`kind`: literal, name, unary, binary, other; `role`: condition, value, operand (of a comparison), label, index, subject (of a case); `width`, `signed`: its own; `wanted`: bits that matter to what
    surrounds it; `parts`: spans of operands; `target`: the name being assigned, if any."""

    span: Span
    kind: str
    role: str
    width: int
    signed: bool
    text: str
    wanted: int
    process: Process
    target: str = ""
    operator: str = ""
    parts: tuple[Span, ...] = ()
    value: int = 0


@dataclass(frozen=True)
class Assignment:
    """`whole`: the target is a plain name; `nonblocking` false for continuous ones too."""

    span: Span
    left: Span
    right: Span
    target: str
    width: int
    signed: bool
    whole: bool
    nonblocking: bool
    process: Process


@dataclass(frozen=True)
class Mention:
    """A variable that a whole expression (a right-hand side, or a condition) names, bases of selects among them, in the places `uses`; `width`: of
    the variable, which has no sign."""

    whole: Span
    name: str
    width: int
    uses: tuple[Span, ...]
    process: Process
    target: str = ""


@dataclass(frozen=True)
class Branch:
    """A statement that a condition leads to, or a process's body. `block`: it has begin and end; `inner`: behind begin (and its label)."""

    span: Span
    process: Process
    block: bool
    body: bool = False
    label: str = ""


@dataclass(frozen=True)
class Case:
    span: Span
    process: Process
    subject: str
    width: int
    default: bool
    last: int  # where the last item ends


@dataclass(frozen=True)
class If:
    """An `if` with an `else`: `other` is the else branch, `keyword` the word else."""

    span: Span
    condition: Span
    then: Span
    other: Span
    keyword: Span
    process: Process
    chained: bool


@dataclass(frozen=True)
class Constant:
    """A parameter given by a literal in its declaration; `uses`: spans of expressions that name it."""

    module: str
    name: str
    span: Span
    width: int
    signed: bool
    value: int
    uses: tuple[Span, ...]


@dataclass(frozen=True)
class Event:
    """An item of a sensitivity list; `edge`: posedge, negedge or ""."""

    edge: str
    name: str
    span: Span


@dataclass(frozen=True)
class Always:
    """`timing`: from @ to its closing parenthesis; `reads`: names in the body; `held`: targets that some way through the body does not assign;
    `first`: the condition of the `if` that is all of the body, or ""."""

    process: Process
    timing: Span
    events: tuple[Event, ...]
    reads: tuple[str, ...]
    held: tuple[str, ...]
    first: tuple[str, ...]

    @property
    def implicit(self) -> bool:
        return not self.events


@dataclass(frozen=True)
class Loop:
    """Of a for statement or a generate loop: spans of numbers in its bounds, with their values; `targets`: what the statement's process assigns, or nothing."""

    module: str
    bounds: tuple[tuple[Span, int], ...]
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Connection:
    """The expressions that an instance's ports are given: span and width of each; `targets`: the words that it drives."""

    module: str
    ends: tuple[tuple[Span, int], ...]
    targets: tuple[str, ...] = ()


@dataclass
class Places:
    modules: dict[str, Module] = field(default_factory=dict)
    expressions: dict[Span, Expr] = field(default_factory=dict)
    assignments: dict[Span, Assignment] = field(default_factory=dict)
    mentions: dict[tuple[Span, str], Mention] = field(default_factory=dict)
    branches: dict[Span, Branch] = field(default_factory=dict)
    cases: dict[Span, Case] = field(default_factory=dict)
    ifs: dict[Span, If] = field(default_factory=dict)
    constants: dict[Span, Constant] = field(default_factory=dict)
    always: dict[Span, Always] = field(default_factory=dict)
    loops: dict[Span, Loop] = field(default_factory=dict)
    connections: dict[Span, Connection] = field(default_factory=dict)
    varying: set[Span] = field(default_factory=set)  # of another width in another instance
    flows: set[tuple[Key, Key]] = field(default_factory=set)  # a word that another depends on within a cycle
    later: set[tuple[Key, Key]] = field(default_factory=set)  # ... or from one cycle to the next


def behind(places: Places, words: set[Key]) -> set[Key]:
    """`words` and all that they depend on, now or from earlier cycles."""
    before: dict[Key, list[Key]] = {}
    for source, target in places.flows | places.later:
        before.setdefault(target, []).append(source)
    found, todo = set(words), list(words)
    while todo:
        for other in before.get(todo.pop(), ()):
            if other not in found:
                found.add(other)
                todo.append(other)
    return found


def uncommented(text: str) -> str:
    """Comments end where lines are joined: they go, line breaks stay."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.S)
