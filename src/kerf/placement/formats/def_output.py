"""A placed design as DEF: the text that was read, with its components where a placement puts them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.design import Design, Placement
from kerf.placement.formats import def_fillers, text
from kerf.placement.formats.lefdef import Source
from kerf.placement.formats.text import plain


def write_placement(path: Path, design: Design, placement: Placement) -> None:
    """The DEF that was read, with its components where the placement puts them: with those that it lacked, and without fillers."""
    source = design.source
    if not isinstance(source, Source):
        raise KerfError(f"{design.name}: only a design with a DEF can be written as DEF")
    left, bottom, _, _ = design.boxes(placement)

    def place(cell: int, added: bool) -> str:
        return _place(design, placement, cell, left[cell], bottom[cell], added)

    edits = [(start, end, place(cell, start == end)) for cell, (start, end) in enumerate(source.places)]
    edits += [(start, end, "") for start, end in source.fillers.values()]
    content = _edited(source.content, edits)
    if source.fillers:
        content = def_fillers.unjoined(content, source.fillers)
    lines = [
        f"- {design.cell_names[cell]} {master} {place(cell, False)} ;\n" for cell, master in source.added
    ]
    text.write(path, _with_components(content, lines, len(source.fillers)))


def _edited(content: str, edits: list[tuple[int, int, str]]) -> str:
    """The text with each stretch replaced."""
    pieces, done = [], 0
    for start, end, put in sorted(edits):
        pieces += [content[done:start], put]
        done = end
    return "".join([*pieces, content[done:]])


def _with_components(content: str, lines: list[str], gone: int) -> str:
    """The DEF with more components and without those that are gone already, its count brought up to date."""
    if not lines and not gone:
        return content
    counted = re.search(r"(?m)^(\s*COMPONENTS\s+)(\d+)", content)
    if counted is None:
        section = f"COMPONENTS {len(lines)} ;\n{''.join(lines)}END COMPONENTS\n"
        return re.sub(
            r"(?m)^(\s*)(PINS\s|NETS\s|END\s+DESIGN)", lambda m: m[1] + section + m[2], content, count=1
        )
    total = int(counted[2]) + len(lines) - gone
    content = content[: counted.start(2)] + str(total) + content[counted.end(2) :]
    end = re.search(r"(?m)^\s*END\s+COMPONENTS", content)
    assert end is not None, "the section was read"
    return content[: end.start()].rstrip("\n") + "\n" + "".join(lines) + content[end.start() :].lstrip("\n")


def _place(design: Design, placement: Placement, cell: int, x: float, y: float, added: bool) -> str:
    lead = " " if added else ""
    if not np.isfinite(x):
        return "" if added else "+ UNPLACED"
    word = "FIXED" if design.fixed[cell] else "PLACED"
    return f"{lead}+ {word} ( {plain(round(x))} {plain(round(y))} ) {orient.NAMES[placement.orient[cell]]}"
