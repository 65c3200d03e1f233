"""The few drawing pieces the report's charts are made of. Lengths are in SVG user units (CSS pixels at full width)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kerf.report.markup import Child, Markup, join, tag


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] to [start, end], linearly or by logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low or 1.0) * (self.end - self.start)

    def ticks(self) -> list[float]:
        return _log_ticks(self.low, self.high) if self.log else _linear_ticks(self.low, self.high)


def _linear_ticks(low: float, high: float, most: int = 6) -> list[float]:
    rough = (high - low) / most or 1.0
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    first = math.ceil(low / step)
    return [round(k * step, 10) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)):
        ticks = [m * 10**d for d in decades for m in steps if low <= m * 10**d <= high]
        if len(ticks) >= 3:
            return ticks[:: max(1, len(ticks) // 7)]
    return [low, high]


def around(values: Sequence[float], *, log: bool = False, margin: float = 0.06) -> tuple[float, float]:
    """Limits that leave some room on either side."""
    low, high = min(values), max(values)
    if log:
        room = max((high / low) ** margin, 1.05)
        return low / room, high * room
    room = (high - low) * margin or abs(high) * 0.1 or 1.0
    return low - room, high + room


def number(value: float) -> str:
    """Short: 0.5, 12, 3400, 1.2e+06."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}" if abs(value) < 1e5 else f"{value:.2g}"


def text(x: float, y: float, words: str, *, anchor: str = "start", class_: str = "") -> Markup:
    return tag("text", words, x=x, y=y, text_anchor=anchor, class_=class_ or None)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    steps = " ".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))
    return tag("path", d=steps, class_=class_)


def mark(x: float, y: float, radius: float, class_: str, title: str) -> Markup:
    return tag("circle", tag("title", title), cx=x, cy=y, r=radius, class_=class_)


def box(x: float, y: float, radius: float, class_: str, title: str) -> Markup:
    return tag(
        "rect",
        tag("title", title),
        x=x - radius,
        y=y - radius,
        width=2 * radius,
        height=2 * radius,
        class_=class_,
    )


def axes(x: Scale, y: Scale, x_label: str, y_label: str, floor: float | None = None) -> Markup:
    """Grid lines, tick labels and the names of both axes; the horizontal axis lies at `floor`, or where y begins."""
    base = y.start if floor is None else floor
    across = [
        join(
            line(x.start, y(t), x.end, y(t), "grid"),
            text(x.start - 8, y(t) + 4, number(t), anchor="end", class_="tick"),
        )
        for t in y.ticks()
    ]
    up = [
        join(
            line(x(t), base, x(t), base + 4, "axis"),
            text(x(t), base + 18, number(t), anchor="middle", class_="tick"),
        )
        for t in x.ticks()
    ]
    frame = line(x.start, base, x.end, base, "axis")
    names = [
        text((x.start + x.end) / 2, base + 36, x_label, anchor="middle", class_="label"),
        text(x.start - 40, y.end - 12, y_label, class_="label"),
    ]
    return join(*across, *up, frame, *names)


def drawing(width: float, height: float, label: str, *children: Child, fixed: bool = False) -> Markup:
    """An SVG that scales with its column, or (`fixed`) keeps its size and scrolls."""
    size = {"width": width, "height": height} if fixed else {"width": "100%"}
    return tag("svg", *children, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=label, **size)
