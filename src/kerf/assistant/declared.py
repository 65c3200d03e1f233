"""What verbs declare of themselves, as sentences are compared with it: read once, kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from kerf.assistant.words import FILLERS, Token, stems
from kerf.core.speech import Said
from kerf.core.verb import Parameter, Verb

GAP = "_"


@lru_cache(maxsize=512)
def parameters(verb: Verb) -> tuple[tuple[Parameter, Said], ...]:
    """A verb's parameters, each with how it is said."""
    return tuple((p, verb.says.options.get(p.name, Said())) for p in verb.parameters())


@lru_cache(maxsize=512)
def calls(verb: Verb) -> tuple[tuple[tuple[str, ...], Mapping[str, Any]], ...]:
    """What calls a verb, the longest phrase first: its name, its words, and those that set options too."""
    plain: list[tuple[tuple[str, ...], Mapping[str, Any]]] = [
        (stems(w), {}) for w in (verb.name.replace("_", " "), *verb.says.words)
    ]
    meant = [(stems(w), dict(a)) for w, a in verb.says.means.items()]
    return tuple(sorted([*meant, *plain], key=lambda c: -len(c[0])))


@lru_cache(maxsize=4096)
def option_words(verb: Verb, name: str) -> tuple[tuple[str, ...], ...]:
    """The phrases by which an option is named, as stems."""
    p, said = next(pair for pair in parameters(verb) if pair[0].name == name)
    flags = [
        w.lstrip("-").replace("-", " ") for flag in p.flags for w in flag.split("/") if w.startswith("--")
    ]
    timed = ("time", "long") if said.unit in ("minutes", "seconds") else ()
    return tuple(stems(w) for w in dict.fromkeys((p.name.replace("_", " "), *flags, *said.words, *timed)))


@lru_cache(maxsize=512)
def choices(verb: Verb) -> tuple[tuple[tuple[str, ...], str, str], ...]:
    """(how it is said, option, value) of every choice that a verb has, the longest first."""
    told = [
        (stems(way), p.name, value)
        for p, said in parameters(verb)
        for value, ways in (said.choices or {c: () for c in p.option.choices if c}).items()
        for way in (*ways, *_called(p.name, value))
    ]
    return tuple(sorted(told, key=lambda t: -len(t[0])))


def _called(name: str, value: str) -> list[str]:
    """A value's own name; one that says nothing alone ("all"), after the option's."""
    if value.isdigit():
        return []
    return [f"{name} {value}"] if value in FILLERS else [value.replace("_", " ")]


def gapped(tokens: Sequence[Token], phrase: tuple[str, ...]) -> list[Sequence[int]]:
    """Where a phrase stands, in two parts where it has a gap ("put _ down")."""
    if GAP not in phrase:
        return [*places(tokens, phrase)]
    at = phrase.index(GAP)
    heads, tails = places(tokens, phrase[:at]), places(tokens, phrase[at + 1 :])
    return [[*h, *t] for h in heads[:1] for t in [t for t in tails if t.start >= h.stop][:1]]


def places(tokens: Sequence[Token], phrase: tuple[str, ...]) -> list[range]:
    """Where a phrase stands."""
    n = len(phrase)
    return [
        range(i, i + n)
        for i in range(len(tokens) - n + 1)
        if tokens[i].stem == phrase[0] and tuple(t.stem for t in tokens[i : i + n]) == phrase
    ]
