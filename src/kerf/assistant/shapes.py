"""Sentences as patterns see them: goals, lengths, and what a design may call the things that a person names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from kerf.assistant.words import PRONOUNS, UNITS, Token

NAMES = r"(?:the |all |every |each )*(?:[a-z]+ \( )?(?P<names>(?!\d|(?:of|with|and|at|on|in|the|a|an|put|halo|halos|keep|um|then|not|no|never|except|but|without|only|or|avoid|from|away|align|place|group)\b)[\w*?/\[\]]+(?: (?:blocks?|macros?|cells?)\b)?(?:(?: , and| ,| and)? (?!\d)(?=\w*[_*?\d\[])[\w*?/\[\]]+(?![\w*?/\[\]]*\.\w))*)(?: \))?"
LENGTH = r"(?P<length>\d+(?:\.\d+)?(?: ?(?:um|microns?|micrometers?|micrometres?|nm|mm)\b)?)(?! ?(?:threads?|cores?|min|kg|cm))"
EVERYTHING = {
    "macro",
    "macros",
    "block",
    "blocks",
    "them",
    "all",
    "everything",
    "anything",
    "cell",
    "cells",
    "hard",
}
GOAL = (
    (r"(?P<n>[\d.]+) ?(?:x|times) (?:as fast|faster|quicker|speed ?-?up|speedup)", float),
    (r"(?P<n>[\d.]+) ?% (?:faster|quicker)", lambda n: 1 + float(n) / 100),
    (r"(?P<n>twice) (?:as fast|as quick|faster)", lambda n: 2.0),
    (r"(?P<n>double|twice|triple) the (?:speed|throughput)", lambda n: 3.0 if n == "triple" else 2.0),
    (r"(?P<n>half|halve) the (?:time|runtime)", lambda n: 2.0),
)


def text_of(tokens: Sequence[Token]) -> tuple[str, list[tuple[int, int]]]:
    """The clause as patterns see it, and where each token stands in it."""
    text, spans = "", []
    for t in tokens:
        text += " " if text else ""
        spans.append((len(text), len(text) + len(t.norm)))
        text += t.norm
    return text, spans


def within(spans: Sequence[tuple[int, int]], begin: int, end: int) -> list[int]:
    return [i for i, (a, b) in enumerate(spans) if a >= begin and b <= end]


@lru_cache(maxsize=512)
def pattern(text: str) -> re.Pattern[str]:
    text = text.replace("<names>", NAMES).replace("<length>", LENGTH).replace("<word>", r"(?P<word>\w+)")
    return re.compile(rf"(?<![\w.]){text}(?![\w])")


def glob(found: str | None) -> str:
    """What a design calls the things that a person calls `found`: "the caches" is `*cache*`; all macros where nothing is named."""
    words = [w for w in (found or "").split() if w.lower() not in EVERYTHING | {",", "and"}]
    if found in PRONOUNS and found is not None:
        return "THEM"
    return " ".join(map(_glob, words if len(words) > 1 and all(map(_own, words)) else words[:1])) or "*"


def _own(word: str) -> bool:
    """A name as the design has it, or a glob."""
    return any(c in word for c in "*?/[") or bool(re.search(r"_.*\d$", word))


def _glob(word: str) -> str:
    if _own(word):
        return word
    plural = word.lower()
    for ending, kept in (("ches", "che"), ("ries", "r"), ("sses", "ss"), ("s", "")):
        if plural.endswith(ending) and not plural.endswith("ss") and len(plural) > 3:
            plural = plural.removesuffix(ending) + kept
            break
    return "*mem*" if plural in ("memor", "memory") else f"*{plural}*"


def length(found: str) -> str:
    number, unit = re.fullmatch(r"([\d.]+) ?(\w*)", found).groups()  # type: ignore[union-attr]
    if not unit:
        return number
    return f"{float(number) * UNITS[unit][1]:.12g}um"
