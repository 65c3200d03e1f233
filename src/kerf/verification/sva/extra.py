"""Assertions given beside the source: written into the top module, before its `endmodule`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from kerf.core.types import KerfError
from kerf.verification.design import Design
from kerf.verification.sva.places import buffers, defaults

STATEMENT = re.compile(
    r"\s*(?:(?P<label>[A-Za-z_]\w*)\s*:\s*)?(?P<word>assert|assume|cover|restrict)\b", re.S
)
ITEMS = re.compile(
    r"\s*(for|generate|genvar|property|sequence|default|let|localparam|wire|logic|reg|function)\b"
)
CLOCK_NAME = re.compile(r"(^|_)(clk|clock|ck)($|_|\d|i$)", re.I)


def with_extra(design: Design, extra: Sequence[str]) -> tuple[Design, list[tuple[int, int]]]:
    """The design with `extra` in its top module; and where each begins and ends, in bytes of that source."""
    if not extra:
        return design, []
    module = design.root.definition.syntax
    end = module.endmodule.location
    index = _source(design, end)
    text = design.sources[index].text.encode("utf-8", "surrogateescape")
    pieces, places, at = [], [], int(end.offset)
    for number, given in enumerate(extra):
        piece = f" {_member(design, module, given, number)} ".encode()
        places.append((at, at + len(piece)))
        at += len(piece)
        pieces.append(piece)
    made = text[: int(end.offset)] + b"".join(pieces) + text[int(end.offset) :]
    name = design.sources[index].name
    return design.with_texts({name: made.decode("utf-8", "surrogateescape")}), places


def _source(design: Design, location: Any) -> int:
    found = buffers(design).get(int(location.buffer.id))
    if found is None:
        raise KerfError(
            f"module {design.top} does not end in one of the design's files: assertions cannot be added to it"
        )
    return found


def _member(design: Design, module: Any, given: str, number: int) -> str:
    text = _one_line(given)
    if ITEMS.match(text):
        return text
    found = STATEMENT.match(text)
    if found is None:
        return f"kerf_extra{number}: assert property ({_clocking(design, module, text)}{text.rstrip('; ')});"
    label = "" if found["label"] else f"kerf_extra{number}: "
    return label + (text if text.rstrip().endswith(";") else text + ";")


def _one_line(text: str) -> str:
    without = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)
    return re.sub(r"\s+", " ", without).strip()


def _clocking(design: Design, module: Any, text: str) -> str:
    return "" if "@" in text or "clocking" in defaults(module) else f"@({clock(design)}) "


def clock(design: Design) -> str:
    """The edge and name of the top module's clock: what its processes wait for, else the input named like one. KerfError when there is none."""
    inputs = [p.name for p in design.ports if p.direction == "input" and p.width == 1]
    edges = re.findall(r"@\s*\(?\s*(posedge|negedge)\s+(\w+)", "\n".join(s.text for s in design.sources))
    found = [(edge, name) for edge, name in edges if name in inputs]
    if found:
        likely = [f for f in found if CLOCK_NAME.search(f[1])] or found
        return " ".join(Counter(likely).most_common(1)[0][0])
    named = [n for n in inputs if CLOCK_NAME.search(n)]
    if not named:
        raise KerfError(
            f"module {design.top} has no clock for this property: write one, as in @(posedge clk) ..."
        )
    return f"posedge {named[0]}"
