"""A DEF as statements: sections, comments seen through, counts checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from kerf.placement.formats.text import END, FormatError, whole

START = re.compile(r"\s*(?:(END)\s+(\S+))?")
COMMENT = re.compile(r"(?<!\S)#[^\n]*")
COUNTED = ("COMPONENTS", "PINS", "NETS")
OTHERS = "SPECIALNETS VIAS REGIONS GROUPS BLOCKAGES PROPERTYDEFINITIONS FILLS STYLES NONDEFAULTRULES SLOTS PINPROPERTIES SCANCHAINS"
SECTIONS = (*COUNTED, *OTHERS.split())


def statements(path: Path, content: str) -> Iterator[tuple[str, str, int]]:
    """(section, statement without its `;`, where it begins). A section's own line gives its count, which is checked at its end."""
    if "#" in content:
        content = COMMENT.sub(lambda m: " " * len(m[0]), content)
    section, count, promised, at = "", 0, 0, 0

    def refuse(expected: str, found: str) -> FormatError:
        return FormatError(path, content.count("\n", 0, at) + 1, expected, found)

    while True:
        start = START.match(content, at)
        assert start is not None, "it matches the empty string"
        if start[1]:
            at = start.start(1)
            if start[2] != (section or "DESIGN"):
                raise refuse(f"`END {section or 'DESIGN'}`", f"END {start[2]}")
            if section in COUNTED and count != promised:
                raise refuse(f"{promised} {section} before their END", str(count))
            if not section:
                return
            section, at = "", start.end()
            continue
        at = start.end()
        close = _closing(content, at)
        if close < 0:
            raise refuse(f"`END {section or 'DESIGN'}`", content[at : at + 40].strip() or END)
        statement = content[at:close].rstrip()
        first = statement.partition(" ")[0]
        if section:
            if first[:1] != "-" and section != "PROPERTYDEFINITIONS":
                raise refuse(f"`-` or `END {section}`", statement[:40])
            count += 1
            yield section, statement, at
        elif first in SECTIONS:
            section, count = first, 0
            counted = statement.split()[1:] or ["0"]
            promised = whole(path, content.count("\n", 0, at) + 1, counted[0], f"a count of {section}")
        elif statement:
            yield "", statement, at
        at = close + 1


def _closing(content: str, at: int) -> int:
    """Where the statement's `;` is, one with white space around it; -1 where there is none."""
    close = content.find(";", at)
    while close > 0 and not (content[close - 1].isspace() and content[close + 1 : close + 2].strip() == ""):
        close = content.find(";", close + 1)
    return close
