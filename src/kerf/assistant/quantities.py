"""Numbers of a clause: in an option's unit, beside its word, and with a bound ("at most", "at least", "under")."""

from __future__ import annotations

import re

from kerf.assistant.clause import LINKS, Filling, put
from kerf.assistant.declared import option_words, parameters
from kerf.assistant.plan import base
from kerf.assistant.shapes import text_of, within
from kerf.assistant.words import ASKED_UNITS, UNITS
from kerf.core.speech import Said
from kerf.core.verb import Parameter

LEAST = r"(?:at least|(?:no|not) (?:less|fewer|shorter) than|(?:a )?minimum(?: of)?)"
MOST = r"(?:at most|up to|(?:no|not|never|don ' t|do not)(?: use| spend| take| pay)? (?:more|longer) than|(?:a )?max(?:imum)?(?: of)?)"
OVER = r"(?:over|above|(?:more|longer|greater|higher) than)"
UNDER = r"(?:under|below|(?:less|fewer|shorter|lower) than)"
BOUNDS = tuple(
    (kind, re.compile(rf"(?<!\w){shape}(?: an?)? $"), re.compile(rf"^ (?:{shape}|or {after})(?!\w)"))
    for kind, shape, after in (
        ("most", MOST, "(?:less|fewer)"), ("least", LEAST, "(?:more|longer)"), ("over", OVER, "over"), ("under", UNDER, "under"),
    )
)  # fmt: skip
"""Kind of bound, what stands before a number, what stands after it and its unit. "No more than" comes before "more than"."""


def _bound(f: Filling, begin: int, end: int) -> str:
    """The bound that is said of what stands at these places, whose words are taken; or ""."""
    text, spans = text_of(f.tokens)
    for kind, before, after in BOUNDS:
        m = before.search(text[: spans[begin][0]])
        behind = None if m else after.match(text[spans[end][1] :])
        if m or behind:
            start = spans[end][1]
            f.take(within(spans, *(m.span() if m else (start + 1, start + behind.end() if behind else start))), 0.3)  # fmt: skip
            return kind
    return ""


def bounded_goal(f: Filling, begin: int, end: int) -> None:
    """At least twice as fast is a goal; at most is none."""
    if _bound(f, begin, end) in ("most", "under"):
        f.wrong = f.wrong or "a goal is how many times better it gets at least: no 'at most'"


def _bounds(f: Filling, p: Parameter, said: Said, begin: int, end: int) -> None:
    """A ceiling takes no "at least"; a number, as it is planned, is neither more nor less than itself."""
    kind = _bound(f, begin, end)
    ceiling = said.ceiling or said.unit in ("minutes", "seconds", "dollars")
    smooth = ceiling and base(p.kind)[0] is float
    if (kind == "least" and ceiling) or kind == "over" or (kind == "under" and not smooth):
        said_so = {"least": "at least", "over": "more than", "under": "less than"}[kind]
        what = "it is a limit, reached at most" if ceiling else "say the number that it is to be"
        f.wrong = f.wrong or f"{p.name} is not told by {said_so!r}: {what}"


def _numeric(p: Parameter) -> bool:
    return base(p.kind)[0] in (int, float)


def quantities(f: Filling) -> None:
    for i, token in enumerate(f.tokens):
        if token.value is None or i in f.used:
            continue
        unit = (
            UNITS.get(f.tokens[i + 1].norm)
            if i + 1 < len(f.tokens) and not f.tokens[i + 1].text.startswith("--")
            else None
        )
        if f.tokens[i - 1].norm == "$" and i:
            unit = ("money", 1.0)
        if not _measured(f, i, token.value, unit) and unit is None:
            _counted(f, i, token.value)


def _measured(f: Filling, i: int, value: float, unit: tuple[str, float] | None) -> bool:
    """A quantity in a unit that an option counts in."""
    if unit is None:
        return False
    for p, said in parameters(f.verb):
        kind, size = ASKED_UNITS.get(said.unit, ("", 1.0))
        if kind == unit[0] and _numeric(p):
            span = [i, i - 1] if f.tokens[i - 1].norm == "$" else [i, i + 1]
            back = next((j for j in range(i - 1, -1, -1) if f.tokens[j].norm not in LINKS), 0)
            near = [
                j
                for j in (i + 2, back, i + 3)
                if 0 <= j < len(f.tokens) and (f.tokens[j].stem,) in option_words(f.verb, p.name)
            ]
            f.take([*span, *near[:1]])
            _bounds(f, p, said, min(span), max(span))
            _number(f, p, value * unit[1] / size, f.tokens[i].text)
            return True
    return False


def _counted(f: Filling, i: int, value: float) -> bool:
    """A number beside an option's word: "2 threads", "seed of 3"."""
    for p, said in parameters(f.verb):
        if not _numeric(p):
            continue
        for words in option_words(f.verb, p.name):
            n = len(words)
            flag = i > 0 and f.tokens[i - 1].text.startswith("--")
            after = [range(i + 1 + skip, i + 1 + skip + n) if not flag else range(0) for skip in (0, 1)]
            back = i - 1
            while back >= 0 and f.tokens[back].norm in LINKS:
                back -= 1
            for k, span in enumerate([*after, range(back - n + 1, back + 1)]):
                if k == 1 and f.tokens[i + 1 : i + 2] and f.tokens[i + 1].norm not in ("more", "newest", "new", "different"):  # fmt: skip
                    continue
                here = f.tokens[max(span.start, 0) : span.stop]
                if here and tuple(t.stem for t in here) == words and f.open(span):
                    f.take([i, *span, *range(i + 1, span.start)])
                    if k == 1 and f.tokens[i + 1].norm == "more" and (said.ceiling or said.unit):
                        f.wrong = f.wrong or f"{p.name} is a total: say how much in all"
                    _bounds(f, p, said, min(i, span.start) if k == 2 else i, max(i, span.stop - 1))
                    _number(f, p, value, f.tokens[i].text)
                    return True
    return False


def _number(f: Filling, p: Parameter, value: float, text: str) -> None:
    kind = base(p.kind)[0]
    if kind is int and re.fullmatch(r"\d{1,3}\.\d{3}", text):
        f.wrong = f.wrong or f"{text} may be {text.replace('.', '')} or {value:g}: write it without the point"
    if f.verb.says.options.get(p.name, Said()).unit == "share" and value > 1:
        f.wrong = f.wrong or f"{p.name} is a share from 0 to 1, or with %: not {value:g}"
    if value < 0 or (kind is int and value != int(value)):
        f.wrong = (
            f.wrong
            or f"{p.name} takes a {'whole ' if kind is int else ''}number that is not negative, not {value:g}"
        )
        return
    put(f, p.name, kind(round(value, 9)))
