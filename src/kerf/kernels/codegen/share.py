"""Definitions that several kernels of one program need alike, kept once: a network of fifty convolutions has a handful of
register tiles, and the compiler's time goes where the text is.

Each kernel's code comes complete, every symbol prefixed by the kernel's name. A definition is the same as an earlier kernel's when their texts
agree but for the name they define and the names of their parameters, once the names they use have been traced to the definitions that are kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


@dataclass(frozen=True)
class Code:
    """A kernel's whole text. `locals`: names that only stand for its parameters (its buffers), so that they may differ."""

    symbol: str
    text: str
    locals: tuple[str, ...]


def share(kernels: Sequence[Code]) -> tuple[list[str], dict[str, str]]:
    """Each kernel's text without what an earlier one has, and the new name of everything left out."""
    known: dict[str, str] = {}
    renamed: dict[str, str] = {}
    return [_without_known(k, known, renamed) for k in kernels], renamed


def _without_known(kernel: Code, known: dict[str, str], renamed: dict[str, str]) -> str:
    own = re.compile(rf"\b{re.escape(kernel.symbol)}(?:_\w+)?\b")
    names, kept = sorted(kernel.locals, key=len, reverse=True), []
    parts = [(part, _defined(_COMMENT.sub("", part), own)) for part in definitions(kernel.text)]
    found = Counter(name for _, name in parts)
    for part, name in parts:
        text = own.sub(lambda m: renamed.get(m[0], m[0]), part)
        if name is None or found[name] > 1:  # one of several, by what a compiler or a chip has
            kept.append(text)
            continue
        bare = re.sub(rf"\b{name}\b", "@", _COMMENT.sub("", text))
        key = _canonical(bare, names, {*own.findall(bare), *known.values()})
        if key in known:
            renamed[name] = known[key]
        else:
            known[key] = name
            kept.append(text)
    return "\n".join(kept)


_IDENTIFIER = re.compile(r"\b[A-Za-z_]\w*")


def _canonical(text: str, names: Sequence[str], functions: Collection[str]) -> str:
    """The text with each of the names, wherever an identifier contains it, numbered by first appearance; functions stay apart."""
    order: dict[str, int] = {}
    new: dict[str, str] = {}

    def canonical(match: re.Match[str]) -> str:
        word = match[0]
        if word not in new:
            name = next((n for n in names if n in word), None) if word not in functions else None
            new[word] = (
                word if name is None else word.replace(name, f"${order.setdefault(name, len(order))}$", 1)
            )
        return new[word]

    return _IDENTIFIER.sub(canonical, text).strip()


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
    """The name that a definition gives, if it is one of the kernel's own."""
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
