"""A sentence as tokens: words without their endings, numbers in digits or words, units, paths and what is in quotation marks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

TOKEN = re.compile(
    r"\"[^\"]*\"|“[^”]*”|`[^`]*`|(?<!\w)'[^']+'(?!\w)"  # in quotation marks
    r"|(?<!\w)-?\d{6}-\d{6}-[0-9a-f]{2,4}"  # a run
    r"|--[A-Za-z][\w-]*|-[oDIP]\b"
    r"|[A-Za-z_]\w*\s?=\s?[\w.]+"
    r"|(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*\.[a-z])(?=[A-Za-zµ%]*\b|[%x])"  # a number, its unit apart
    r"|[$€](?=\d)"
    r"|[\w*?~][\w*?/~.\[\]+-]*[\w*?/\]]|\.{0,2}/[\w./-]+|[\w*%µ]|[^\s]"
)
HYPHEN = re.compile(r"(?<![\w./-])[A-Za-z]+(?:-[A-Za-z]+)+(?![\w./-]*[./\d_])")
NUMBERS: Mapping[str, float] = {
    w: float(i) for i, w in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"])
} | {"twenty": 20.0, "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "ninety": 90.0, "hundred": 100.0, "dozen": 12.0, "couple": 2.0}  # fmt: skip
SCALES: Mapping[str, float] = {"k": 1e3, "thousand": 1e3, "million": 1e6}
UNITS: Mapping[str, tuple[str, float]] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), ("time", 1.0)),
    **dict.fromkeys(("min", "mins", "minute", "minutes", "m"), ("time", 60.0)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), ("time", 3600.0)),
    **dict.fromkeys(("day", "days"), ("time", 86400.0)),
    **dict.fromkeys(("week", "weeks"), ("time", 7 * 86400.0)),
    **dict.fromkeys(("um", "µm", "micron", "microns", "micrometre", "micrometres", "micrometer", "micrometers"), ("length", 1.0)),
    **dict.fromkeys(("nm", "nanometre", "nanometres", "nanometer", "nanometers"), ("length", 1e-3)),
    **dict.fromkeys(("mm", "millimetre", "millimetres", "millimeter", "millimeters"), ("length", 1e3)),
    **dict.fromkeys(("%", "percent", "per cent"), ("share", 0.01)),
    **dict.fromkeys(("x", "times", "fold"), ("factor", 1.0)),
    **dict.fromkeys(("$", "dollar", "dollars", "usd", "bucks"), ("money", 1.0)),
    **dict.fromkeys(("mb", "megabyte", "megabytes"), ("data", 1.0)),
    **dict.fromkeys(("gb", "gigabyte", "gigabytes", "gigs"), ("data", 1000.0)),
}  # fmt: skip
ASKED_UNITS: Mapping[str, tuple[str, float]] = {
    "seconds": ("time", 1.0), "minutes": ("time", 60.0), "hours": ("time", 3600.0), "days": ("time", 86400.0),
    "um": ("length", 1.0), "megabytes": ("data", 1.0), "share": ("share", 1.0), "dollars": ("money", 1.0),
}  # fmt: skip
"""What an option may count in: (kind of quantity, how many of the smallest unit)."""
SAID_BESIDES = """
a an the please can could would should will you i we want need like to for on with of in at and my our me
us now then just so is are be do does did up use using make get have has try give let lets by from into
here run that there which what how possible about as its kerf ok okay thanks also but only
work every each around through against spend take within max maximum limit whether tell thing
this these those hey well actually really quickly some any last it them same again instead too still s t
yes am , . ! ? : ( ) - ' all file per was were been hi keeping keep put
"""
FILLERS = frozenset(SAID_BESIDES.split())
"""Words that may stand in any sentence and change nothing of it."""
SHORT = tuple(
    (re.compile(rf"(?<![\w./-]){short}(?![\w/])", re.I), long)
    for short, long in (
        (r"(?:pls|plz|plse|pleas)", "please"), (r"w/o", "without"), (r"(?:what|where|how)(?:'s|s)", "what is"), (r"vs\.?", "against"),
        (r"dont", "don't"), (r"isnt", "isn't"), (r"cant", "can't"), (r"doesnt", "doesn't"), (r"(?:thx|ty)", "thanks"), (r"(can|could|would|will|do|did) u", r"\1 you"), (r"wanna", "want to"), (r"(?<= )&(?= )", "and"),
    )
)  # fmt: skip
"""Short ways of writing, each with the long one. "hows" asks what is, as "whats" does."""
WHOLE = frozenset(
    ["all", "every", "everything", "everyone", "any", "anything", "each", "last", "none", "nothing"]
)
APART = frozenset(["except", "repeatedly"])
"""How words that here do change something are marked: no name of anything."""
PRONOUNS = frozenset(["it", "this", "that", "them", "these", "those"])


@dataclass(frozen=True)
class Token:
    """`text` as written; `norm` in lower case, numbers in digits; `stem` what is compared; `value` of a number; `quoted`: what stood in
    quotation marks; `misspelt`: what was read as this word; `before`: the space that stood before it."""

    text: str
    norm: str
    stem: str
    value: float | None = None
    quoted: bool = False
    misspelt: str = ""
    before: str = " "

    def read_as(self, word: str) -> Token:
        return replace(self, norm=word, stem=stem(word), misspelt=self.text)


def written_out(sentence: str) -> str:
    """Without short ways of writing: "pls", "w/", "whats", "dont". What is in quotation marks stays."""
    if '"' in sentence or "`" in sentence:
        return sentence
    sentence = re.sub(r"(?<![\w./])w/(?=\s|\d)", "with ", sentence.replace("’", "'"))
    for short, long in SHORT:
        sentence = short.sub(long, sentence)
    return sentence


def tokens(sentence: str) -> list[Token]:
    """In order. Numbers in words become one token: "one and a half", "a dozen", "half an hour" (0.5 of one)."""
    sentence = HYPHEN.sub(lambda m: m[0].replace("-", " "), sentence.replace("’", "'"))
    ends = [0, *(m.end() for m in TOKEN.finditer(sentence))]
    found = [replace(_token(m[0]), before=sentence[e : m.start()]) for m, e in zip(TOKEN.finditer(sentence), ends)]  # fmt: skip
    return _told_apart(_joined(found))


def verbatim(said: Sequence[Token]) -> str:
    """These words as they were written, one after the other."""
    return "".join(t.before + (f'"{t.text}"' if t.quoted else t.text) for t in said).strip()


def _told_apart(found: list[Token]) -> list[Token]:
    """Words that change nothing but here: "but" after "all" excepts, "every" before a number repeats, and a unit is no other word: "2 min" mines
    nothing."""
    made = list(found)
    for i, t in enumerate(found):
        before, after = found[max(i - 2, 0) : i], found[i + 1] if i + 1 < len(found) else None
        counted = after is not None and (after.value is not None or after.norm in UNITS)
        if (t.norm == "instead" and after is not None and after.norm == "of") or (
            t.norm == "but" and (any(b.norm in WHOLE for b in before))
        ):
            made[i] = replace(t, norm="except", stem="except")
        elif t.norm in ("every", "each") and counted:
            made[i] = replace(t, norm="repeatedly", stem="repeatedly")
        elif t.norm == "after" and i and found[i - 1].norm == "stop":
            made[i - 1 : i + 1] = [replace(b, norm="for", stem="for") for b in found[i - 1 : i + 1]]
        elif i and found[i - 1].value is not None and t.norm in UNITS and t.text[0] != "-":
            made[i] = replace(t, stem=f"unit {t.norm}")
    return made


def _token(text: str) -> Token:
    if text[0] in "\"“`'" and len(text) > 2:
        return Token(text[1:-1], text[1:-1].lower(), text, quoted=True)
    if len(text) > 1 and text[-1] in "?!" and "*" not in text:
        text = text[:-1]
    word = text.lower().strip("-") if text.startswith("--") else text.lower()
    word = word.rstrip(".?!") if len(word) > 1 else word
    if re.fullmatch(r"-?\d+(\.\d+)?", word):
        return Token(text, _digits(float(word)), word, float(word))
    return Token(text, word, stem(word))


def _number(value: float, words: Sequence[Token]) -> Token:
    return Token(verbatim(words), _digits(value), _digits(value), value, before=words[0].before)


def _digits(value: float) -> str:
    return f"{value:.12g}"


def _joined(found: Sequence[Token]) -> list[Token]:
    """Words for numbers, made numbers."""
    made: list[Token] = []
    i = 0
    while i < len(found):
        length, value = _counted([t.norm for t in found[i : i + 6]])
        if length:
            made.append(_number(value, found[i : i + length]))
        else:
            made.append(found[i])
        i += length or 1
    return made


def _counted(words: Sequence[str]) -> tuple[int, float]:
    """(how many words are a number, which one)."""
    first = words[0]
    if first in ("minus", "negative") and len(words) > 1:
        length, value = _counted(words[1:])
        if length:
            return length + 1, -value
    if first == "half" and words[1:2] in (["a"], ["an"]):
        return (3, 6.0) if words[2:3] == ["dozen"] else (2, 0.5)
    if first in ("a", "an") and words[1:2] and words[1] in ("dozen", "couple", "hundred"):
        return (3 if words[2:3] == ["of"] else 2), NUMBERS[words[1]]
    if (
        first in ("a", "an")
        and words[1:2]
        and UNITS.get(words[1], ("", 0))[0] == "time"
        and len(words[1]) > 1
    ):
        return 1, 1.0
    if first in NUMBERS or re.fullmatch(r"\d+(\.\d+)?", first):
        value = NUMBERS[first] if first in NUMBERS else float(first)
        if words[1:2] and words[1] in SCALES:
            return 2, value * SCALES[words[1]]
        if 20 <= value <= 90 and words[1:2] and 0 < NUMBERS.get(words[1], 0) < 10:
            return 2, value + NUMBERS[words[1]]
        if list(words[1:4]) == ["and", "a", "half"]:
            return 4, value + 0.5
        return 1, value
    return 0, 0.0


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A word without its ending: "placing", "placed" and "places" are one."""
    if not word.isalpha() or len(word) < 4:
        return word
    word = re.sub(r"(?<=iz)ation$", "", re.sub(r"is(e|es|ed|ing|ation)$", r"iz\1", word))
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith(("ss", "eed")):
            return word.removesuffix(ending)
    return word.removesuffix("e")


@lru_cache(maxsize=8192)
def stems(phrase: str) -> tuple[str, ...]:
    """A declared phrase as a sentence's words are compared."""
    return tuple(t.stem for t in tokens(phrase))
