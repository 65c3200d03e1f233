"""Mutants: small faults put into the source, all into one text, each behind a bit of its own.

A module that holds mutants gets an undriven vector, so that a synthesized design has them all and one lane of a simulator, or one constant of a
proof, chooses among them. A mutant's own branch holds the original operands, so that texts grow by the length of what is replaced, not by its
nesting; two mutants at once, one inside the other, are therefore the outer one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kerf.verification.design import Design

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)


@dataclass(frozen=True)
class Mutant:
    """`start`, `end`: the bytes of file `source` that read `before`, in place of which a faulty design has `after` ("" for a statement that is
    left out). `module`: the number of the module's definition and its name. `bit`: of a word of that many bits, the one that is stuck and at what;
    such mutants are many and alike, and of use when all others are in use."""

    kind: str
    source: str
    module: tuple[int, str]
    line: int
    start: int
    end: int
    before: str
    after: str
    statement: bool = False
    bit: tuple[int, int, int] | None = None

    @property
    def name(self) -> str:
        """One line: what it does and where."""
        shown = f"`{_short(self.before)}` left out" if self.statement else f"`{_short(self.before)}` becomes `{_short(self.after)}`"  # fmt: skip
        return f"{self.source}:{self.line}: {self.kind}: {shown}"

    def applied(self, text: str) -> str:
        """The file's text with this fault alone."""
        data = text.encode("utf-8", "surrogateescape")
        before, after = (
            data[: self.start].decode("utf-8", "replace"),
            data[self.end :].decode("utf-8", "replace"),
        )
        new = ";" if self.statement else self.after if _stands_alone(before, after) else grouped(self.after)
        made = data[: self.start] + new.encode("utf-8", "surrogateescape") + data[self.end :]
        return made.decode("utf-8", "surrogateescape")

    def diff(self, design: Design) -> str:
        """The fault as a unified diff of its file."""
        text = next(s.text for s in design.sources if s.name == self.source)
        old_lines, new_lines = text.splitlines(), self.applied(text).splitlines()
        return "\n".join(difflib.unified_diff(old_lines, new_lines, self.source, self.source, n=1, lineterm=""))  # fmt: skip


def grouped(text: str) -> str:
    """An expression as an operand of anything."""
    return text if re.fullmatch(r"[\w.$`]+(\[[^\[\]]*\])*|(\d*)'\w+", text) else f"({text})"


def _stands_alone(before: str, after: str) -> bool:
    """Whether no operator is next to an expression that stands between these."""
    left, right = before.rstrip()[-1:], after.lstrip()[:1]
    return (left in "([{,?:" and right in ")]},:;?") or (left == "=" and right == ";")


def _short(text: str) -> str:
    plain = plain_text(text)
    return plain if len(plain) <= 60 else plain[:57] + "..."


def plain_text(text: str) -> str:
    """On one line, without comments."""
    return " ".join(COMMENT.sub(" ", text).split())


@dataclass(frozen=True)
class Instrumented:
    """`texts`: sources by name, with the same lines; `select[k]`: the vector and the index in it that switch mutant k on. A vector is an undriven
    wire of every instance of its module."""

    mutants: tuple[Mutant, ...]
    texts: Mapping[str, str]
    select: tuple[tuple[str, int], ...]


def instrument(design: Design, mutants: Sequence[Mutant], headers: Mapping[int, tuple[str, int]]) -> Instrumented:  # fmt: skip
    """`headers`: of each module's definition the file and the byte after its header."""
    width: dict[int, int] = {}
    select = []
    for m in mutants:
        index = width.get(m.module[0], 0)
        width[m.module[0]] = index + 1
        select.append((f"kerf_mutant_{m.module[0]}", index))
    texts = {}
    for source in design.sources:
        here = [(m, s) for m, s in zip(mutants, select) if m.source == source.name]
        if here:
            wires = {
                byte: f" wire [{width[number] - 1}:0] kerf_mutant_{number};"
                for number, (name, byte) in headers.items()
                if name == source.name and number in width
            }
            texts[source.name] = _rewritten(source.text, here, wires)
    return Instrumented(tuple(mutants), texts, tuple(select))


@dataclass
class _Site:
    """A piece of text that mutants replace; sites inside it."""

    start: int
    end: int
    statement: bool
    choices: list[tuple[str, str]] = field(default_factory=list)
    stuck: dict[tuple[int, int], str] = field(default_factory=dict)
    width: int = 0
    signed: bool = False
    inner: list[_Site] = field(default_factory=list)


def _rewritten(text: str, mutants: Iterable[tuple[Mutant, tuple[str, int]]], wires: Mapping[int, str]) -> str:
    data = text.encode("utf-8", "surrogateescape")
    sites: dict[tuple[int, int, bool], _Site] = {}
    for m, (vector, index) in mutants:
        key = (m.start, m.end, m.statement)
        site = sites.setdefault(key, _Site(m.start, m.end, m.statement))
        if m.bit:
            site.width, site.signed = m.bit[0], "'sh" in m.after
            site.stuck[m.bit[1:]] = f"{vector}[{index}]"
        else:
            site.choices.append((f"{vector}[{index}]", m.after))
    top = _Site(0, len(data), False, inner=[_Site(byte, byte, False, [("", wire)]) for byte, wire in wires.items()])  # fmt: skip
    path = [top]
    for site in sorted(sites.values(), key=lambda s: (s.start, -s.end, not s.statement)):
        while path[-1].end < site.end or path[-1].end <= site.start:
            path.pop()
        path[-1].inner.append(site)
        path.append(site)
    return _content(data, top).decode("utf-8", "surrogateescape")


def _content(data: bytes, site: _Site) -> bytes:
    made, at = b"", site.start
    for inner in sorted(site.inner, key=lambda s: (s.start, s.end)):
        made += data[at : inner.start] + _chosen(data, inner)
        at = inner.end
    return made + data[at : site.end]


def _chosen(data: bytes, site: _Site) -> bytes:
    inside = _content(data, site)
    if site.start == site.end:
        return site.choices[0][1].encode()
    if site.statement:
        off = " || ".join(condition for condition, _ in site.choices)
        return b"begin if (!(" + off.encode() + b")) " + inside + b" end"
    inside = _with_stuck_bits(inside, site)
    row = "".join(f"{condition} ? ({plain_text(after)}) : " for condition, after in site.choices)
    return b"(" + row.encode("utf-8", "surrogateescape") + b"(" + inside + b"))"


def _with_stuck_bits(inside: bytes, site: _Site) -> bytes:
    """Two gates a bit, where a choice would take a word."""
    for value, form in ((1, "({}) | {}"), (0, "({}) & ~{}")):
        if any(v == value for _, v in site.stuck):
            bits = (site.stuck.get((bit, value), "1'b0") for bit in reversed(range(site.width)))
            mask = "{" + ", ".join(bits) + "}"
            mask = f"$signed({mask})" if site.signed else mask
            before, after = form.format("@", mask).split("@")
            inside = before.encode() + inside + after.encode()
    return inside
