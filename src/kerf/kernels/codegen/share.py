"""Definitions that several kernels of one program need alike, kept once: a network of fifty convolutions has a handful of
register tiles, and the compiler's time goes where the text is.

Each kernel's code comes complete, every symbol prefixed by the kernel's name. A definition is the same as an earlier kernel's when their texts
agree but for the name they define, once the names they use have been traced to the definitions that are kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def share(kernels: Sequence[tuple[str, str]], called: Collection[str]) -> list[str]:
    """The code of each (symbol, code) without the helpers that an earlier one has. Functions in `called` keep their names: text
    outside the kernels calls them."""
    known: dict[str, str] = {}
    return [_without_known(symbol, code, known, called) for symbol, code in kernels]


def _without_known(symbol: str, code: str, known: dict[str, str], called: Collection[str]) -> str:
    renamed: dict[str, str] = {}
    own = re.compile(rf"\b{re.escape(symbol)}_\w+")
    kept = []
    for part in definitions(code):
        text = own.sub(lambda m: renamed.get(m[0], m[0]), part)
        name = _defined(_COMMENT.sub("", part), own)
        if name is None or name in called:
            kept.append(text)
            continue
        key = re.sub(rf"\b{name}\b", "@", _COMMENT.sub("", text)).strip()
        if key in known:
            renamed[name] = known[key]
        else:
            known[key] = name
            kept.append(text)
    return "\n".join(kept)


def definitions(code: str) -> Iterator[str]:
    """The text cut at the ends of its definitions and preprocessor lines, each with the comment before it."""
    lines: list[str] = []
    depth, comment, directive = 0, False, False
    for line in code.split("\n"):
        lines.append(line)
        directive = directive or (depth == 0 and not comment and line.startswith("#"))
        if not directive:
            bare, comment = _uncommented(line, comment)
            depth += bare.count("{") - bare.count("}")
        ended = (
            not line.endswith("\\")
            if directive
            else not comment and depth == 0 and bare.rstrip().endswith(("}", ";"))
        )
        if ended:
            yield "\n".join(lines)
            lines, directive = [], False
    yield "\n".join(lines)


def _uncommented(line: str, inside: bool) -> tuple[str, bool]:
    """The line without its comments, and whether a comment is open at its end."""
    if inside:
        _, end, line = line.partition("*/")
        if not end:
            return "", True
    line = _COMMENT.sub("", line)
    before, opened, _ = line.partition("/*")
    return before, bool(opened)


def _defined(text: str, own: re.Pattern[str]) -> str | None:
    """The one name that a definition of a helper gives, if it is one of the kernel's own."""
    text = text.strip()
    if text.startswith("#"):
        return _only(re.match(rf"#define\s+({own.pattern})\b", text))
    if text.startswith("typedef"):
        flat = re.sub(r"\{.*\}", "", text, flags=re.S)
        flat = re.sub(r"__attribute__\s*\(\(.*?\)\)\s*(?=[;_])", "", flat)
        return _only(re.search(rf"({own.pattern})\s*;$", flat))
    if not text.startswith("static"):
        return None
    head = re.split(r"[{=]", text, maxsplit=1)[0]
    head = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", head)
    return _only(re.match(rf"[\w\s*]*?\b({own.pattern})\s*[(\[]", head))


def _only(match: re.Match[str] | None) -> str | None:
    return match[1] if match else None
