"""Assertions that are not quite SystemVerilog, as published benchmarks and language models write them, put right and told.

Only what has one possible meaning is mended; the compiler itself reads the standard's language and nothing else.
"""

from __future__ import annotations

import re

UNBOUNDED = re.compile(r"\bs_always\s*(?=\()")
LONE_UNTIL = re.compile(r"(\|->|\|=>)\s*s_until\s*(?=\()")


def mended(text: str) -> tuple[str, tuple[str, ...]]:
    """The assertion with its faults mended, and what they were: a parenthesis that closes nothing is dropped; `s_always` without a range is `always`
    (on an infinite run they are the same); `s_until` with nothing before it is `s_eventually`."""
    notes = []
    made, dropped = _balanced(text)
    if dropped:
        notes.append("a closing parenthesis that closes nothing")
    made, count = UNBOUNDED.subn("always ", made)
    if count:
        notes.append("s_always without a range, read as always")
    made, count = LONE_UNTIL.subn(r"\1 s_eventually ", made)
    if count:
        notes.append("s_until with nothing before it, read as s_eventually")
    return made, tuple(notes)


def _balanced(text: str) -> tuple[str, int]:
    depth, kept = 0, []
    for c in text:
        depth += (c == "(") - (c == ")")
        if depth < 0:
            depth = 0
        else:
            kept.append(c)
    return "".join(kept), len(text) - len(kept)
