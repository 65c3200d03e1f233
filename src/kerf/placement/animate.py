"""The way of a run as a moving picture: GIF, or SVG that moves by itself."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kerf.core.types import KerfError
from kerf.placement.design import Design, Kind, Placement
from kerf.placement.draw import draw
from kerf.placement.formats import text
from kerf.placement.journal import Frame
from kerf.placement.packing import write_bytes
from kerf.placement.picture import Picture, page

PANEL, FRAME_MS, LAST_MS = 560, 120, 2000
SHAPES = {".gif": 30_000, ".svg": 3_000}
"""Standard cells drawn in a frame, at most: evenly chosen where there are more."""


def animate(design: Design, frames: Sequence[Frame], path: Path) -> tuple[int, int]:
    """Write the frames; width and height in pixels. Raises KerfError where there are none, or the name ends in neither .gif nor .svg."""
    if path.suffix not in SHAPES:
        raise KerfError(f"{path}: animations are written as .gif or .svg")
    if not frames:
        raise KerfError(
            f"{design.name}: this run kept no pictures of the way (it was too short, was pruned, or placed another design)"
        )
    seen = _shown(design, SHAPES[path.suffix])
    pictures = [
        draw(design, _only(f.placement, seen), "none", panel=PANEL, caption=_caption(design, f))
        for f in frames
    ]
    if path.suffix == ".svg":
        text.write(path, _svg(pictures))
    else:
        write_bytes(path, _gif(pictures))
    return pictures[0].width, pictures[0].height


def _shown(design: Design, most: int) -> np.ndarray:
    """(C,) which cells are drawn."""
    cells = np.flatnonzero(design.kind == Kind.CELL)
    seen = np.ones(design.cells, np.bool_)
    if len(cells) > most:
        seen[cells] = False
        seen[cells[np.linspace(0, len(cells) - 1, most).astype(int)]] = True
    return seen


def _only(placement: Placement, seen: np.ndarray) -> Placement:
    return replace(placement, x=np.where(seen, placement.x, np.nan))


def _caption(design: Design, frame: Frame) -> str:
    per = design.per_um or 1.0
    said = [f"{frame.seconds:5.1f} s", frame.phase]
    said += [f"HPWL {frame.hpwl / per:,.0f}"] if frame.hpwl is not None else []
    said += [f"cost {frame.cost:.4f}"] if frame.cost is not None else []
    return ", ".join(said)


def _gif(pictures: Sequence[Picture]) -> bytes:
    images = [picture.image().quantize(64) for picture in pictures]
    out = io.BytesIO()
    durations = [FRAME_MS] * (len(images) - 1) + [LAST_MS]
    images[0].save(
        out, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0, optimize=True
    )
    return out.getvalue()


def _svg(pictures: Sequence[Picture]) -> str:
    """Every frame a group that is visible for its share of the cycle."""
    total = FRAME_MS * (len(pictures) - 1) + LAST_MS
    groups = []
    for i, picture in enumerate(pictures):
        begin = i * FRAME_MS / total
        end = (i + 1) * FRAME_MS / total if i + 1 < len(pictures) else 1.0
        times, values = [0.0, begin, end], ["hidden", "visible", "hidden"]
        timed = ";".join(f"{t:.5f}" for t in times)
        motion = f'<animate attributeName="visibility" values="{";".join(values)}" keyTimes="{timed}" calcMode="discrete" dur="{total / 1000:g}s" repeatCount="indefinite"/>'
        groups.append(f'<g visibility="hidden">{motion}{picture.shapes()}</g>')
    return page(pictures[0].width, pictures[0].height, "\n".join(groups))
