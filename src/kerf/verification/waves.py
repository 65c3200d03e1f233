"""Waveforms as SVG: a row a signal, a column a cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kerf.report.markup import Markup, join, tag

ROW, CELL, LABEL = 26, 46, 150
MOST_CYCLES = 200


def waves(
    rows: Sequence[Mapping[str | int, int]], widths: Mapping[str, int], marked: int | None = None
) -> Markup:
    """`rows[t][name]`: values; `widths`: the signals to draw, in order, with their width in bits. The cycle `marked` is set off. Of long runs
    the last 200 cycles are drawn."""
    first = max(0, len(rows) - MOST_CYCLES)
    shown = rows[first:]
    wide, tall = LABEL + CELL * len(shown) + 8, ROW * (len(widths) + 1) + 8
    parts = []
    if marked is not None and marked >= first:
        x = LABEL + CELL * (marked - first)
        parts.append(tag("rect", x=x, y=0, width=CELL, height=tall, fill="var(--removed)"))
    for t in range(len(shown)):
        parts.append(_text(LABEL + CELL * t + CELL / 2, 16, str(first + t), "middle", "tick"))
    for index, (name, width) in enumerate(widths.items()):
        top = ROW * (index + 1)
        parts.append(_text(4, top + 17, name if len(name) <= 22 else "..." + name[-19:], "start", "label"))
        values = [row[name] for row in shown]
        parts.append(_bit(values, top) if width == 1 else _word(values, width, top))
    return tag("svg", *parts, viewBox=f"0 0 {wide} {tall}", width=wide, height=tall, role="img")


def _bit(values: Sequence[int], top: int) -> Markup:
    high, low = top + 5, top + ROW - 5
    points = []
    for t, value in enumerate(values):
        y = high if value else low
        points += [f"{LABEL + CELL * t},{y}", f"{LABEL + CELL * (t + 1)},{y}"]
    return tag("polyline", points=" ".join(points), fill="none", stroke="var(--accent)", stroke_width=1.6)


def _word(values: Sequence[int], width: int, top: int) -> Markup:
    """A box for each stretch of one value, with the value in hexadecimal."""
    parts, start = [], 0
    for t in range(1, len(values) + 1):
        if t < len(values) and values[t] == values[start]:
            continue
        x, w = LABEL + CELL * start, CELL * (t - start)
        parts.append(tag("rect", x=x + 1, y=top + 5, width=w - 2, height=ROW - 10, rx=3, fill="none", stroke="var(--passed)"))  # fmt: skip
        text = f"{values[start]:0{(width + 3) // 4}x}"
        fits = max(2, int(w / 8))
        parts.append(
            _text(x + w / 2, top + 17, text if len(text) <= fits else text[: fits - 1] + "~", "middle", "")
        )
        start = t
    return join(*parts)


def _text(x: float, y: float, said: str, anchor: str, style: str) -> Markup:
    return tag("text", said, x=round(x, 1), y=y, text_anchor=anchor, class_=style or None)
