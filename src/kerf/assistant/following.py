"""What changes the last plan: "now half the halo", "with another seed", "the same for the arbiter", "without the halo"."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kerf.assistant.clause import Filling
from kerf.assistant.declared import option_words, parameters, places
from kerf.assistant.filling import fill
from kerf.assistant.plan import Step, base
from kerf.assistant.shapes import text_of, within
from kerf.assistant.words import ASKED_UNITS, UNITS, Token, stem, stems
from kerf.assistant.workspace import Workspace

MORE = r"(?:more|bigger|larger|longer|higher|wider|greater|extra)"
LESS = r"(?:less|smaller|fewer|shorter|lower|narrower)"
PARTS = {"third": 1 / 3, "quarter": 0.25, "half": 0.5}
TIMES = {"half": 0.5, "halve": 0.5, "double": 2.0, "twice": 2.0, "triple": 3.0}
AGAIN = frozenset(
    {"again", "same", "repeat", "redo", "once", "instead", "now", "also", "another", "only", "still"}
)
OTHER = frozenset({"another", "different", "new", "other"})
ADDED = frozenset({"add", "adding", "plus", "too", "additionally"})
HERE = ("once more", "this time", "next time", "for a change")
DROPPED = frozenset({"without", "drop", "remove", "no", "forget", "skip"})
COUPLING = frozenset(
    AGAIN | ADDED | {"but", "as", "long", "one", "change", "set", "thing", "make", "do", "to"}
)


@dataclass(frozen=True)
class Change:
    """How a number changes; `unit`: the kind of quantity it was said in, or ""."""

    apply: Callable[[float], float]
    span: Sequence[int]
    unit: str = ""


def changes(tokens: Sequence[Token]) -> Change | None:
    """The change of a number that these words speak of."""
    text, spans = text_of(tokens)
    unit = r"(?: ?(?P<unit>[a-zµ]+))?"
    shapes: tuple[tuple[str, Callable[[re.Match[str]], Callable[[float], float]]], ...] = (
        (rf"(?:a |1 )?(?P<part>third|quarter|half|[\d.]+ %) (?:(?P<more>{MORE})|{LESS})", _scaled),
        (rf"(?P<n>[\d.]+) (?:x|times|fold) (?:(?P<more>{MORE})|{LESS})", _multiplied),
        (rf"(?P<n>[\d.]+){unit} (?:(?P<more>{MORE})|{LESS})", _shifted),
        (rf"(?:(?P<more>another|{MORE})|{LESS}) (?P<n>[\d.]+){unit}", _shifted),
        (r"(?P<word>half|halve|double|twice|triple)", lambda m: lambda v: v * TIMES[m["word"]]),
        (r"(?P<n>[\d.]+) ?(?:x|times) (?:the|as)", lambda m: lambda v: v * float(m["n"])),
        (rf"(?:(?P<more>{MORE})|{LESS})", lambda m: lambda v: v * (2.0 if m["more"] else 0.5)),
    )
    for shape, make in shapes:
        for m in re.finditer(rf"(?<![\w.]){shape}\b", text):
            kind = UNITS.get(m.groupdict().get("unit") or "", ("", 1.0))[0]
            return Change(make(m), within(spans, *m.span()), kind)
    return None


def _scaled(m: re.Match[str]) -> Callable[[float], float]:
    part = PARTS.get(m["part"]) or float(m["part"].rstrip(" %")) / 100
    return lambda v: v * (1 + part if m["more"] else 1 - part)


def _multiplied(m: re.Match[str]) -> Callable[[float], float]:
    by = float(m["n"])
    return lambda v: v * by if m["more"] else v / by if by else v


def _shifted(m: re.Match[str]) -> Callable[[float], float]:
    """In the unit's smallest parts (seconds, um), where one was said."""
    by = float(m["n"]) * (1 if m["more"] else -1) * UNITS.get(m["unit"] or "", ("", 1.0))[1]
    return lambda v: v + by


def change(step: Step, tokens: Sequence[Token], workspace: Workspace) -> Filling | None:
    """That step with what these words change, or None where they change nothing of it."""
    f = Filling(step.verb, tokens)
    changed = _renumbered(f, step) | _another(f, step) | _removed(f, step)
    new = fill(step.verb, _rest(f), workspace)
    again = any(t.norm in AGAIN for t in tokens)
    said = dict(new.arguments)
    if not (changed or said or again or new.goal):
        return None
    merged = dict(step.arguments) | changed
    adding = any(t.norm in ADDED for t in tokens)
    for name, value in said.items():
        merged[name] = _merged(merged.get(name), value, adding)
    new.arguments = {n: v for n, v in merged.items() if v is not None and v != []}
    new.goal = new.goal or step.goal
    new.notes = [*(n for n in step.notes if not said), *new.notes]
    here = {i for phrase in HERE for span in places(new.tokens, stems(phrase)) for i in span}
    new.used |= here | {i for i, t in enumerate(new.tokens) if t.norm in COUPLING}
    new.weight += len(changed) * 2.0
    return new


def _rest(f: Filling) -> list[Token]:
    return [t for i, t in enumerate(f.tokens) if i not in f.used]


def _renumbered(f: Filling, step: Step) -> dict[str, Any]:
    found = changes(f.tokens)
    if found is None:
        return {}
    others = [t for i, t in enumerate(f.tokens) if i not in found.span]
    for name, target, value in _targets(f, step, found, others):
        f.used |= set(found.span) | {
            i
            for i, t in enumerate(f.tokens)
            if ((t.stem,) in target and (i == 0 or f.tokens[i - 1].value is None or i - 1 in found.span))
            or t.norm == "long"
        }
        return {name: value}
    return {}


def _targets(f: Filling, step: Step, by: Change, others: Sequence[Token]) -> list[tuple[str, Sequence[tuple[str, ...]], Any]]:  # fmt: skip
    found: list[tuple[str, Sequence[tuple[str, ...]], Any]] = []
    lasting = any(t.norm in ("longer", "shorter") for t in f.tokens)
    said_units = {UNITS[t.norm][0] for t in f.tokens if t.norm in UNITS and len(t.norm) > 1}
    for p, said in parameters(step.verb):
        kind, many = base(p.kind)
        value = step.arguments.get(p.name, p.default)
        if value is None and said.unit == "minutes":
            value = step.verb.says.bound
        words = option_words(step.verb, p.name)
        spoken = any(places(f.tokens, w) for w in words)
        if kind in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
            timed = said.unit in ("minutes", "seconds") and (
                lasting or "time" in said_units or by.unit == "time"
            )
            if spoken or timed:
                size = ASKED_UNITS[said.unit][1] if by.unit and said.unit in ASKED_UNITS else 1.0
                number = by.apply(float(value) * size) / size
                if number < 0 or (said.unit and not number):
                    continue
                found.append((p.name, words, kind(number) if kind is int else round(number, 9)))
        if many and isinstance(value, list):
            heads = {v.split()[0] for v in value if isinstance(v, str) and v}
            named = [h for h in heads if any(t.stem == stem(h) for t in f.tokens)]
            if named:
                changed = [_with_number(v, by) if v.split()[0] in named else v for v in value]
                found.append((p.name, [stems(h) for h in named], changed))
    return found


def _with_number(element: str, by: Change) -> str:
    """A constraint in words whose last number is changed."""

    def new(m: re.Match[str]) -> str:
        return f"{by.apply(float(m[1])):.12g}{m[2]}"

    return re.sub(r"(\d+(?:\.\d+)?)([a-z]*)$", new, element)


def _another(f: Filling, step: Step) -> dict[str, Any]:
    """Another seed: the next one."""
    for p, _ in parameters(step.verb):
        for words in option_words(step.verb, p.name):
            for span in places(f.tokens, words):
                before = f.tokens[span.start - 1].norm if span.start else ""
                if base(p.kind)[0] is int and before in OTHER and f.free(span):
                    f.used |= {span.start - 1, *span}
                    return {p.name: int(step.arguments.get(p.name, p.default) or 0) + 1}
    return {}


def _removed(f: Filling, step: Step) -> dict[str, Any]:
    """Without the halo: every value of that kind goes; an option goes back to its default."""
    for i, token in enumerate(f.tokens):
        if token.norm not in DROPPED:
            continue
        j = i + 1
        while j < len(f.tokens) and f.tokens[j].norm in ("the", "any", "a"):
            j += 1
        for name, value in step.arguments.items() if j < len(f.tokens) else ():
            if dropped := _dropped(f, j, step, name, value):
                f.used |= {*range(i, j), *dropped}
                gone = {f.tokens[j].stem, f.tokens[j].text}
                return {name: [v for v in value if not gone & {stem(v.split()[0]), v}] if isinstance(value, list) else None}  # fmt: skip
    return {}


def _dropped(f: Filling, j: int, step: Step, name: str, value: Any) -> range | None:
    """The words from `j` on that name an option, or one of its values, by its first word or whole."""
    if isinstance(value, list):
        here = any(f.tokens[j].stem == stem(v.split()[0]) or f.tokens[j].text == v for v in value if v)
        return range(j, j + 1) if here else None
    words = [w for w in option_words(step.verb, name) if tuple(t.stem for t in f.tokens[j : j + len(w)]) == w]
    return range(j, j + max(map(len, words))) if words else None


def _merged(old: Any, new: Any, adding: bool) -> Any:
    """Lists of sentences: one of the same kind about the same things takes the old one's place; other values do outright, unless they
    are said to be added."""
    if not isinstance(new, list) or not isinstance(old, list):
        return new
    if not any(" " in str(v) for v in (*old, *new)):
        return [*old, *(v for v in new if v not in old)] if adding else new
    kept = list(old)
    for element in new:
        head = element.split()[0]
        same = [v for v in kept if v.split()[0] == head]
        if "THEM" in element.split() and same:
            names = same[-1].split()[1:2]
            element = element.replace("THEM", names[0])
        same = [v for v in same if v.split()[1:2] == element.split()[1:2]]
        if same:
            kept[kept.index(same[-1])] = element
        else:
            kept.append(element)
    return kept
