"""The report's charts, each from plain values to one SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kerf.core.records import Trial
from kerf.core.types import Metric
from kerf.report import svg
from kerf.report.markup import Markup, join
from kerf.report.svg import Scale

WIDE, HIGH = 560.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 16.0, 28.0, 48.0


def progress(trials: Sequence[Trial], *, over_time: bool, what: str = "speed-up") -> Markup:
    """Score (`what` it is) of every candidate and the best so far, over evaluations or over search time; failures along the bottom."""
    at = [t.at_s if over_time else float(i + 1) for i, t in enumerate(trials)]
    scores = [t.evaluation.score for t in trials]
    known = [s for s in scores if s is not None and s > 0] or [1.0]
    low, high = svg.around([*known, 1.0], log=True)
    x = Scale(0.0, max(at) * 1.02 or 1.0, LEFT, WIDE - RIGHT)
    y = Scale(low, high, HIGH - BOTTOM - 14, TOP, log=True)
    marks = [_trial_mark(t, x(a), y) for t, a in zip(trials, at)]
    best = svg.path(_steps(at, scores, x, y), "best")
    unit = svg.line(x.start, y(1.0), x.end, y(1.0), "unit")
    name = "search time, s" if over_time else "evaluations"
    frame = svg.axes(x, y, name, f"{what}, log scale", floor=HIGH - BOTTOM)
    return svg.drawing(WIDE, HIGH, f"best {what} over {name}", frame, unit, *marks, best)


def _trial_mark(trial: Trial, x: float, y: Scale) -> Markup:
    score, status = trial.evaluation.score, trial.evaluation.status
    said = f"{trial.candidate.id[:8]} by {trial.candidate.proposer or 'unknown'}: {status}"
    if score is None or score <= 0:
        return svg.box(x, y.start + 8, 3, f"s-{status}", f"{said}. {trial.evaluation.reason[:200]}")
    return svg.mark(x, y(score), 3.2, f"s-{status}", f"{said}, {score:.3g}")


def _steps(
    at: Sequence[float], scores: Sequence[float | None], x: Scale, y: Scale
) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    best = 0.0
    for a, score in zip(at, scores):
        if score is not None and score > best:
            points += [(x(a), y(best))] if best else []
            best = score
            points.append((x(a), y(best)))
    return [*points, (x(at[-1]), y(best))] if points else []


def speedups(rows: Mapping[str, Metric]) -> Markup:
    """One row a baseline: the median and its 95 % interval on a logarithmic axis, with "no change" at 1."""
    ends = [v for m in rows.values() for v in (m.value, m.low, m.high) if v is not None and v > 0]
    height = 44.0 + 34 * len(rows)
    x = Scale(*svg.around([*ends, 1.0], log=True), 130, WIDE - 130, log=True)
    ticks = [
        join(
            svg.line(x(t), 12, x(t), height - 30, "grid"),
            svg.text(x(t), height - 12, f"{svg.number(t)}x", anchor="middle", class_="tick"),
        )
        for t in x.ticks()
    ]
    drawn = [_interval(name, metric, x, 30.0 + 34 * i) for i, (name, metric) in enumerate(rows.items())]
    unit = svg.line(x(1.0), 12, x(1.0), height - 30, "unit")
    return svg.drawing(WIDE, height, "speed-up over each baseline", *ticks, unit, *drawn)


def _interval(name: str, metric: Metric, x: Scale, y: float) -> Markup:
    low, high = metric.low or metric.value, metric.high or metric.value
    class_ = "win" if low > 1 else "loss" if high < 1 else "even"
    said = f"{metric.value:.2f}x" + (f" [{low:.2f}, {high:.2f}]" if metric.low is not None else "")
    return join(
        svg.text(118, y + 4, name, anchor="end", class_="name"),
        svg.line(x(low), y, x(high), y, f"whisker {class_}"),
        svg.mark(x(metric.value), y, 5, class_, said),
        svg.text(WIDE - 118, y + 4, said, class_="value"),
    )


def roofline(point: Mapping[str, Any], others: Sequence[Mapping[str, Any]] = ()) -> Markup:
    """Achieved GFLOP/s against arithmetic intensity, under the machine's measured roof. Points have flops, bytes, time_s,
    peak_gflops and bandwidth_gbs (Williams, Waterman and Patterson 2009). Where nothing is computed, a bar of the bandwidth reached."""
    if point["flops"] <= 0:
        return _bandwidth_bar(point)
    peak, bandwidth = float(point["peak_gflops"]), float(point["bandwidth_gbs"])
    ridge = peak / bandwidth
    drawn = [_place(p) for p in (*others, point) if p["flops"] > 0]
    x = Scale(
        *svg.around([ridge / 30, ridge * 30, *(i for i, _ in drawn)], log=True), LEFT, WIDE - RIGHT, log=True
    )
    y = Scale(
        *svg.around([peak * 1.2, min(x.low * bandwidth, *(g for _, g in drawn))], log=True),
        HIGH - BOTTOM,
        TOP,
        log=True,
    )
    roof = svg.path([(x(x.low), y(x.low * bandwidth)), (x(ridge), y(peak)), (x(x.high), y(peak))], "roof")
    faint = [svg.mark(x(i), y(g), 2.6, "faint", f"{g:.3g} GFLOP/s") for i, g in drawn[:-1]]
    return svg.drawing(
        WIDE, HIGH, "roofline",
        svg.axes(x, y, "arithmetic intensity, FLOP per byte", "GFLOP/s"),
        roof, *faint, _kernel(point, x, y),
        svg.text(x(ridge) + 6, y(peak) - 7, f"{peak:.0f} GFLOP/s peak", class_="label"),
        svg.text(x(x.low) + 30, y(x.low * bandwidth) - 2, f"{bandwidth:.1f} GB/s", class_="label"),
    )  # fmt: skip


def _place(point: Mapping[str, Any]) -> tuple[float, float]:
    """(FLOP per byte, GFLOP/s)"""
    return point["flops"] / max(point["bytes"], 1), point["flops"] / point["time_s"] / 1e9


def roof_share(point: Mapping[str, Any]) -> float:
    """Achieved over attainable: the time the roof allows, over the time taken."""
    floor = max(
        point["flops"] / (point["peak_gflops"] * 1e9), point["bytes"] / (point["bandwidth_gbs"] * 1e9)
    )
    return float(floor / point["time_s"])


def _kernel(point: Mapping[str, Any], x: Scale, y: Scale) -> Markup:
    intensity, achieved = _place(point)
    roof = min(point["peak_gflops"], intensity * point["bandwidth_gbs"])
    words = f"{achieved:.3g} GFLOP/s, {roof_share(point):.0%} of the roof"
    return join(
        svg.line(x(intensity), y(achieved), x(intensity), y(roof), "gap"),
        svg.mark(x(intensity), y(achieved), 6, "winner", words),
        svg.text(x.end - 6, y.start - 12, words, anchor="end", class_="value"),
    )


def _bandwidth_bar(point: Mapping[str, Any]) -> Markup:
    achieved, limit = point["bytes"] / point["time_s"] / 1e9, float(point["bandwidth_gbs"])
    x = Scale(0.0, max(achieved, limit) * 1.1, LEFT, WIDE - RIGHT)
    return svg.drawing(
        WIDE, 96, "bandwidth reached",
        svg.line(x(0), 40, x(limit), 40, "bar"),
        svg.line(x(0), 40, x(achieved), 40, "bar reached"),
        svg.text(x(0), 24, f"{achieved:.1f} of {limit:.1f} GB/s: {roof_share(point):.0%} of the roof", class_="value"),
        *(svg.text(x(t), 72, svg.number(t), anchor="middle", class_="tick") for t in x.ticks()),
        svg.text((x.start + x.end) / 2, 90, "GB/s (nothing is computed)", anchor="middle", class_="label"),
    )  # fmt: skip


def usable_roofline(detail: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The evaluation's roofline point, where it has a complete and sensible one."""
    point = detail.get("roofline")
    needed = ("flops", "bytes", "time_s", "peak_gflops", "bandwidth_gbs")
    if not isinstance(point, Mapping) or not all(isinstance(point.get(k), int | float) for k in needed):
        return None
    finite = all(math.isfinite(point[k]) for k in needed)
    return (
        point
        if finite and min(point["bytes"], point["time_s"], point["peak_gflops"], point["bandwidth_gbs"]) > 0
        else None
    )
