"""Which source files belong to one design, read in a moment: enough to tell whether a sentence names one design or several."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerf.core.types import KerfError

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
DEFINED = re.compile(r"\b(module|interface|package|program|checker)\s+(?:automatic\s+|static\s+)?(\w+)")
INCLUDED = re.compile(r'`include\s+"([^"]+)"')
MOST_BYTES = 1 << 20
"""Larger files are not looked into: a sentence must be understood within some 50 ms."""
SHARED = ("minutes", "goal", "seed", "sentence", "zero", "most", "assertion")
"""Options that mean the same of every design; any other is said of one of them."""


def apart(arguments: Mapping[str, Any], folder: Path) -> Sequence[Mapping[str, Any]]:
    """The arguments once for each design that the files in `design` are of. KerfError where some file belongs to none of them, or where an option
    was said that only one of them can have."""
    files = arguments.get("design", ())
    if len(files) < 2 or "top" in arguments:
        return [arguments]
    texts = {name: _text(folder / name) for name in files}
    if None in texts.values():
        return [arguments]
    groups = _groups({name: text or "" for name, text in texts.items()})
    if len(groups) == 1:
        return [arguments]
    _check(groups, texts, arguments)
    return [{**arguments, "design": group} for group in groups]


def _check(
    groups: Sequence[Sequence[str]], texts: Mapping[str, str | None], arguments: Mapping[str, Any]
) -> None:
    """KerfError where these are not designs of their own, or where something was said that only one of them can have."""
    loose = [
        g
        for g in groups
        if not any(kind == "module" for n in g for kind, _ in DEFINED.findall(texts[n] or ""))
    ]
    if loose:
        raise KerfError(
            f"{', '.join(loose[0])} has no module, and nothing else there uses it: say which files are one design"
        )
    whose = [name for name in arguments if name not in ("design", *SHARED)]
    if whose:
        raise KerfError(
            f"these are {len(groups)} designs ({_listed(groups)}): say of which the {whose[0]} is, one after the other"
        )


def _listed(groups: Sequence[Sequence[str]]) -> str:
    return "; ".join(", ".join(g) for g in groups)


def _text(path: Path) -> str | None:
    """Without comments; None where it is not looked into."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        return COMMENT.sub(" ", path.read_text("utf-8", "replace"))
    except OSError:
        return None


def _groups(texts: Mapping[str, str]) -> list[list[str]]:
    """Files that use what others define, transitively, in the order that they were named."""
    groups = [[name] for name in texts]
    for a in texts:
        for b in texts:
            if a != b and _uses(texts[a], b, texts[b]):
                one, two = (next(g for g in groups if n in g) for n in (a, b))
                if one is not two:
                    groups = [g for g in groups if g is not one and g is not two] + [[*one, *two]]
    order = list(texts)
    return sorted((sorted(g, key=order.index) for g in groups), key=lambda g: order.index(g[0]))


def _uses(text: str, name: str, other: str) -> bool:
    """Whether a source instantiates, imports, binds or includes something of another; a signal that has a module's name uses nothing."""
    if any(Path(found).name == Path(name).name for found in INCLUDED.findall(text)):
        return True
    for _, defined in DEFINED.findall(other):
        used = rf"\b{defined}\s*(?:#\s*\(|::|\.\w|\s\w+\s*[\[(;])|\bbind\s+{defined}\b"
        if defined in text and re.search(used, text):
            return True
    return False
