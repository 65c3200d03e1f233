"""Fillers of a DEF: what closes the gaps in rows once all other cells have their places, and so has none before.

A filler is a component of LEF CLASS CORE SPACER that may move and that no signal net joins. As OpenROAD's flow has it (fillers removed before
placement, inserted after), it is no cell of the design, and a placed design is written without it. Tap cells (WELLTAP), end caps and fixed
spacers stand where they stand and stay.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from kerf.placement.formats.lef import Master

REFERENCE = re.compile(r"\(\s*(\S+)\s+\S+\s*(?:\+\s*SYNTHESIZED\s*)?\)[ \t]?")
SHOWN = 3


def is_spacer(master: Master | None) -> bool:
    """Whether a macro only fills room."""
    return master is not None and master.kind.split()[:2] == ["CORE", "SPACER"]


def note(masters: Sequence[str]) -> str:
    """What to tell whoever reads or writes a design whose fillers, of these macros, are left out."""
    kinds = [name for name, _ in Counter(masters).most_common()]
    named = ", ".join(kinds[:SHOWN]) + (", ..." if len(kinds) > SHOWN else "")
    return (
        f"{len(masters):,} fillers ({named}: CLASS CORE SPACER) are left out: they fill what gaps a placement leaves, "
        "so a DEF written by kerf lacks them; insert them after placement (OpenROAD: filler_placement)"
    )


def stretch(content: str, begin: int) -> tuple[int, int]:
    """The text of a component's statement that begins there, with its `;` and its line where it has one for itself."""
    end = begin
    while True:
        end = content.index(";", end) + 1
        if content[end - 2].isspace() and content[end : end + 1].strip() == "":
            break
    line = content.rfind("\n", 0, begin) + 1
    if content[line:begin].isspace() or line == begin:
        begin = line
        end += content[end : end + 1] == "\n"
    return begin, end


def unjoined(content: str, names: Collection[str]) -> str:
    """The DEF without `( COMPONENT PIN )` of components that are gone: supply nets may name them."""
    return REFERENCE.sub(lambda m: "" if m[1] in names else m[0], content)
