"""Which runs a sentence speaks of: by id, "the last run", "the last two runs", "the one before"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kerf.assistant.clause import Filling
from kerf.assistant.declared import parameters
from kerf.assistant.shapes import text_of, within

ONE = r"(?:the )?(?:last|newest|latest|most recent) run"
TWO = r"(?:the )?(?:last )?(?:2|both)(?: runs)?"
BEFORE = r"(?:the )?(?:1 before|previous(?: run| 1)?|last but 1|earlier 1)"


def name_runs(f: Filling, recent: Sequence[str]) -> None:
    """Fill the options that name runs, in order. `recent`: ids, the newest first."""
    wanted = [p.name for p, said in parameters(f.verb) if said.thing == "run" and p.name not in f.arguments]
    if not wanted:
        return
    found = [(i, t.text) for i, t in enumerate(f.tokens) if t.text in recent or re.fullmatch(r"\d{6}-\d{6}-[0-9a-f]{1,4}", t.text)]  # fmt: skip
    f.take([i for i, _ in found], 2.0 * len(found))
    names = [name for _, name in found]
    text, spans = text_of(f.tokens)
    if len(wanted) > 1 and not names:
        names = _pair(f, text, spans, recent)
    elif not names and (m := re.search(ONE, text)):
        f.take(within(spans, *m.span()), 2.0)
        names = ["last"]
    f.arguments.update(zip(wanted, names))


def _pair(f: Filling, text: str, spans: Sequence[tuple[int, int]], recent: Sequence[str]) -> list[str]:
    if len(recent) < 2:
        return []
    if m := re.search(BEFORE, text):
        f.take(within(spans, *m.span()))
        return [recent[0], recent[1]]
    if m := re.search(TWO, text):
        f.take(within(spans, *m.span()))
        return [recent[1], recent[0]]
    return []
