"""A sentence to an assertion: parsed by a grammar of controlled English, its names looked up in the design. No language model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from kerf.core.types import KerfError
from kerf.verification.design import Design
from kerf.verification.english import clauses, predicates, sentences, terms, words
from kerf.verification.english.names import EXACT, Names, names_of
from kerf.verification.english.sentences import Sentences

FORMS = (
    "whenever A rises then B within 4 cycles, unless reset",
    "if A and not B, then C must be high in the next cycle",
    "never A and B",
    "at most one of A, B and C is high",
    "A stays stable while B is high",
    "after A, B is high until C",
    "A is always less than or equal to 7",
    "if A is high, then B must eventually be low",
    "exactly one of A and B is high",
    "A has an odd number of 1 bits",
)


@dataclass(frozen=True)
class Translation:
    """`property`: the property's expression; `sva`: the whole assertion; `clock` and `reset`: what it is sampled by and disabled with ("" for none);
    `resolved`: words that were taken for a name of another spelling; `notes`: choices that a person may want otherwise."""

    sentence: str
    property: str
    sva: str
    clock: str
    reset: str
    resolved: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def to_sva(sentence: str, design: Design, *, clock: str = "", reset: str = "") -> Translation:
    """Translate one sentence about signals of the top module. `reset`: an expression that is true in reset, for sentences that name none. KerfError says how
    far it was understood, and what forms there are."""
    told, preferred = _hints(sentence)
    names = Names(names_of(design), CLOSED, preferred)
    said, mended = _spelt(words.tokens(_claimed(told)), names)
    parser = Sentences(said, names)
    whole = [
        (cost, meaning)
        for end, cost, meaning in parser.read("sentence", 0)
        if end == len(said) and terms.IT not in meaning[1]
    ]
    if not whole:
        raise KerfError(_not_understood(parser, sentence))
    _, (disabled, text) = min(whole, key=lambda row: row[0])
    timed, disabled = clock or _clock(design), disabled or reset
    guard = f" disable iff ({disabled})" if disabled else ""
    resolved = _resolved(parser, text + disabled) | mended
    return Translation(
        sentence, text, f"assert property (@(posedge {timed}){guard} {text});", timed, disabled, resolved, tuple(_notes(sentence, text))
    )  # fmt: skip


def _hints(sentence: str) -> tuple[str, list[str]]:
    """The sentence without a trailing "Use the signals a and b", and those names."""
    told, _, hints = sentence.partition("Use the signal")
    return (told, re.findall(r"[A-Za-z_]\w*", hints)) if hints else (sentence, [])


def _spelt(said: Sequence[words.Token], names: Names) -> tuple[list[words.Token], dict[str, str]]:
    """The tokens, those that are no name and nearly a word of the grammar taken for it; and which these are."""
    import difflib

    known = {part for n in names.names for part in re.split(r"[_.]", n.text.lower())} | {n.text.lower() for n in names.names}  # fmt: skip
    found: list[words.Token] = []
    mended: dict[str, str] = {}
    for token in said:
        near: list[str] = []
        if token.word.isalpha() and len(token.word) > 3 and token.word not in CLOSED | known:
            near = difflib.get_close_matches(token.word, [w for w in CLOSED if len(w) > 3], 1, 0.83)
            near = [] if difflib.get_close_matches(token.word, known, 1, 0.7) else near
        found.append(replace(token, word=near[0]) if near else token)
        mended |= {token.text: near[0]} if near else {}
    return found, mended


def _claimed(sentence: str) -> str:
    """ "is a ever b?" asks whether "a is never b" can be refuted."""
    asked = re.fullmatch(
        r"\s*(is|are|can|does|do|will)\s+(.*?)\s+ever\s+(.*?)\s*\??\s*", sentence, re.I | re.S
    )
    if not asked:
        return sentence.strip().rstrip("?")
    verb, subject, rest = asked.groups()
    return f"{subject} {'' if verb.lower() in ('does', 'do') else verb} never {rest}"


def _resolved(parser: Sentences, text: str) -> dict[str, str]:
    """For each name in the text that was said otherwise, the longest words that were taken for it."""
    found: dict[str, str] = {}
    for said, name in sorted(parser.used.items(), key=lambda row: len(row[0])):
        if name.cost > EXACT and name.text in text:
            found[name.text] = said
    return {said: name for name, said in found.items()}


def _clock(design: Design) -> str:
    found = [p.name for p in design.ports if p.direction == "input" and re.search(r"(^|_)(clk|clock|ck)($|_|\d|i$)", p.name, re.I)]  # fmt: skip
    if not found:
        raise KerfError(f"{design.top} has no input that looks like a clock: name it (clock=...)")
    return found[0]


def _notes(sentence: str, text: str) -> list[str]:
    found = []
    if _claimed(sentence) != sentence.strip().rstrip("?"):
        found.append("asked as a claim that it never happens: refuted means that it can")
    if re.search(r"^(check that |assert that )?after\b", sentence, re.I) and "|=>" in text:
        found.append("after: from the next cycle on")
    if "##[0:" in text:
        found.append("within N cycles: the same cycle counts")
    if re.search(r"\$(rose|fell|changed)\(.*\|=>", text):
        found.append(
            "a change is seen in the first cycle with the new value; the next cycle is the one after it"
        )
    return found


def _not_understood(parser: Sentences, sentence: str) -> str:
    done = " ".join(t.text for t in parser.tokens[: parser.furthest])
    left = " ".join(t.text for t in parser.tokens[parser.furthest :])
    if parser.furthest in parser.names.ambiguous:
        said, choices = parser.names.ambiguous[parser.furthest]
        return f"which signal is {said!r}: {', '.join(choices)}?"
    at = (
        f"understood {done!r}, but not {left!r} after it"
        if done and left
        else f"not understood: {sentence!r}"
    )
    known = ", ".join(n.text for n in parser.names.names[:12])
    near = _nearest_form(sentence)
    return f"{at}. Say it like: {near!r}. Signals: {known}"


def _nearest_form(sentence: str) -> str:
    import difflib

    return max(FORMS, key=lambda f: difflib.SequenceMatcher(None, f.lower(), sentence.lower()).ratio())


def _closed() -> frozenset[str]:
    """The words of the grammar itself."""
    tables = [
        v
        for m in (words, terms, predicates, clauses, sentences)
        for v in vars(m).values()
        if isinstance(v, dict)
    ]
    keys = [k for t in tables for k in t if isinstance(k, tuple)]
    return frozenset(
        {w for key in keys for w in key}
        | set(words.NUMBERS)
        | {
            "of",
            "in",
            "between",
            "bits",
            "bit",
            "cycles",
            "while",
            "which",
            "there",
            "consecutive",
            "successive",
            "maximum",
            "prior",
        }
    )


CLOSED = _closed()
