"""A change that a source may undergo: as wires that a solver chooses values for, and as the edit that a choice stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kerf.verification.repair.source import Module, Span

PREFIX = "kerf_"
Values = Callable[[str], int]


@dataclass(frozen=True)
class Insert:
    """Text put around `span` in the instrumented source; ranks of what wraps the same span grow inwards."""

    span: Span
    before: str = ""
    behind: str = ""
    rank: int = 0


@dataclass(frozen=True)
class Edit:
    """`span` of the source becomes `text`; an empty span is an insertion."""

    span: Span
    text: str


@dataclass(frozen=True)
class Pick:
    """`wire`, of `width` bits, is one of `count` words: they lie in the wire `words`, the first lowest; `index` is a hole of `bits` bits. `inverted`: a hole
    that inverts it, or ""."""

    wire: str
    width: int
    words: str
    count: int
    index: str
    bits: int
    inverted: str = ""


@dataclass(frozen=True)
class Change:
    """`enable`: a wire of one bit; `holes`: wires with their widths. `edits` turns the holes' values into the source's edits. `weight`: how unlikely the
    change is among those of the same number. `needs`: the enable of a change that this one is part of. `near`: values that holes should have if they may."""

    template: str
    module: str
    enable: str
    holes: tuple[tuple[str, int], ...]
    inserts: tuple[Insert, ...]
    edits: Callable[[Values], Sequence[Edit]]
    weight: int = 2
    needs: str = ""
    near: Mapping[str, int] = field(default_factory=dict)
    line: int = 0
    picks: tuple[Pick, ...] = ()
    edited: Span | None = None  # where, if not around the first insert

    @property
    def names(self) -> dict[str, int]:
        """All wires that a solver chooses, with their widths."""
        chosen = {p.index: p.bits for p in self.picks} | {p.inverted: 1 for p in self.picks if p.inverted}
        return {self.enable: 1} | dict(self.holes) | chosen


@dataclass(frozen=True)
class Plan:
    """Changes to be offered at once, and for each module the lists of words that they pick from."""

    changes: tuple[Change, ...]
    lists: Mapping[str, Sequence[tuple[str, int, Sequence[str]]]]  # a module's: name, bits of a word, words


def weave(texts: Mapping[str, str], modules: Mapping[str, Module], plan: Plan) -> dict[str, str]:
    """The sources with every change in them, each behind its enable; lines keep their numbers."""
    marks: dict[str, list[tuple[int, tuple[int, int, int], str]]] = {}

    def mark(source: str, offset: int, order: tuple[int, int, int], text: str) -> None:
        marks.setdefault(source, []).append((offset, order, text.replace("\n", " ")))

    for module in modules.values():
        wires = "".join(_wire(c) for c in plan.changes if c.module == module.name)
        mark(module.header.source, module.header.start, (0, 0, 0), wires)
        rows = (_listed(*row) for row in plan.lists.get(module.name, ()))
        mark(module.end.source, module.end.start, (0, 0, 0), "".join(rows))
    for change in plan.changes:
        for insert in change.inserts:
            span = insert.span
            if insert.before:
                mark(span.source, span.start, (1, -span.end, insert.rank), insert.before)
            if insert.behind:
                mark(span.source, span.end, (-1, -span.start, -insert.rank), insert.behind)
    return {name: _placed(text, marks.get(name, [])) for name, text in texts.items()}


def _wire(change: Change) -> str:
    wires = (*change.holes, *((p.wire, p.width) for p in change.picks))
    return f" wire {change.enable};" + "".join(f" wire [{width - 1}:0] {name};" for name, width in wires)


def _listed(name: str, width: int, words: Sequence[str]) -> str:
    """Words side by side in a wire that synthesis keeps."""
    parts = ", ".join(f"{name}{i}_" for i in reversed(range(len(words))))
    each = "".join(f" wire [{width - 1}:0] {name}{i}_ = {w};" for i, w in enumerate(words))
    return f"{each} (* keep *) wire [{width * len(words) - 1}:0] {name} = {{{parts}}}; "


def _placed(text: str, marks: Sequence[tuple[int, tuple[int, int, int], str]]) -> str:
    data = text.encode("utf-8", "surrogateescape")
    parts, last = [], 0
    for offset, _, inserted in sorted(marks, key=lambda m: (m[0], m[1])):
        parts += [data[last:offset], inserted.encode("utf-8", "surrogateescape")]
        last = offset
    return b"".join([*parts, data[last:]]).decode("utf-8", "surrogateescape")


def apply(texts: Mapping[str, str], edits: Iterable[Edit]) -> dict[str, str]:
    """The sources with `edits` made; an edit inside the span of a larger one is dropped, and equal ones are made once."""
    rows = list(dict.fromkeys(edits))
    kept = [e for e in rows if not any(_covers(o.span, e.span) for o in rows if o is not e)]
    result = {}
    for name, text in texts.items():
        data = text.encode("utf-8", "surrogateescape")
        mine = [(i, e) for i, e in enumerate(kept) if e.span.source == name]
        for _, edit in sorted(mine, key=lambda p: (p[1].span.start, p[1].span.end, p[0]), reverse=True):
            new = edit.text.encode("utf-8", "surrogateescape")
            data = data[: edit.span.start] + new + data[edit.span.end :]
        result[name] = data.decode("utf-8", "surrogateescape")
    return result


def _covers(outer: Span, inner: Span) -> bool:
    """Whether a replaced span holds another in it, its ends left out for insertions."""
    if outer.source != inner.source or outer.start == outer.end:
        return False
    if inner.start == inner.end:
        return outer.start < inner.start < outer.end
    return (
        outer.start <= inner.start
        and inner.end <= outer.end
        and (outer.end - outer.start > inner.end - inner.start)
    )


def constant(width: int, value: int, like: str = "") -> str:
    """A number as Verilog text, in the base of the literal `like`."""
    value &= (1 << width) - 1
    found = re.match(r"\s*(\d*)\s*'(s?)([bBoOdDhH])", like)
    if not found:
        return str(value) if like else f"{width}'d{value}"
    base = found.group(3).lower()
    digits = {"b": f"{value:0{width}b}", "o": f"{value:o}", "d": str(value), "h": f"{value:x}"}[base]
    size = found.group(1)
    return f"{size and max(width, 1)}'{found.group(2)}{found.group(3)}{digits}"
