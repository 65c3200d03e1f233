"""What a run keeps on disk while it works, so that a kill loses little: the best legal placement, where its stage stands, and pictures
of the way for an animation. Everything is written whole or not at all; a full disk is remembered, not fatal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerf.placement import packing
from kerf.placement.design import Design, Floats, Placement
from kerf.placement.steps import Step

SAVE_S = 20.0
"""At least this often, where stages give placements."""
FRAMES, FRAME_S = 60, 0.25


@dataclass(frozen=True)
class Standing:
    """`stage` of the recipe `candidate` had `placement` when it was saved; `whole` where the stage had ended. `box`: the rules' boxes
    where they had been narrowed."""

    candidate: str
    stage: str
    placement: Placement
    whole: bool
    box: Floats | None


@dataclass(frozen=True)
class Frame:
    """A placement on the way, with what was known of it."""

    placement: Placement
    phase: str
    seconds: float
    hpwl: float | None
    cost: float | None


class Journal:
    """`open` the folder of a run; until then nothing is kept. `best_value`: what is minimised, of the best legal placement kept."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.complaint = ""
        self.began = time.monotonic()
        self.best_value = float("inf")
        self._saved_s = time.monotonic()
        self._frame_s, self._every_s = float("-inf"), FRAME_S
        self._frames: list[Path] = []

    def open(self, folder: Path) -> None:
        if self.folder is None:
            self.folder = folder
            self._frames = sorted((folder / "frames").glob("*.npz"))

    # The best legal placement

    def keep_best(self, placement: Placement, value: float) -> bool:
        """Whether it is the best so far, and so kept."""
        if not value < self.best_value:
            return False
        self.best_value = value
        self._write("best.npz", _arrays(placement), {"value": value})
        return True

    def best(self, design: Design) -> tuple[Placement, float] | None:
        found = self._read("best.npz")
        if found is None or len(found[0]["x"]) != design.cells:
            return None
        return _placement(found[0]), float(found[1]["value"])

    # Where the work stands

    def stand(self, standing: Standing) -> None:
        arrays = _arrays(standing.placement)
        if standing.box is not None:
            arrays["box"] = standing.box
        facts = {"candidate": standing.candidate, "stage": standing.stage, "whole": standing.whole}
        self._write("standing.npz", arrays, facts)
        self._saved_s = time.monotonic()

    def stood(self, candidate: str, design: Design) -> Standing | None:
        """Where this candidate's recipe stood, if it was the one at work."""
        found = self._read("standing.npz")
        if found is None or found[1]["candidate"] != candidate or len(found[0]["x"]) != design.cells:
            return None
        arrays, facts = found
        return Standing(candidate, facts["stage"], _placement(arrays), facts["whole"], arrays.get("box"))

    @property
    def due(self) -> bool:
        return time.monotonic() - self._saved_s >= SAVE_S

    # Pictures of the way

    def frame(self, step: Step) -> None:
        """Keep the step's placement for an animation; half of them go whenever there are too many."""
        now = time.monotonic()
        if step.placement is None or now - self._frame_s < self._every_s:
            return
        self._frame_s = now
        number = 1 + (int(self._frames[-1].stem) if self._frames else 0)
        name = f"frames/{number:06}.npz"
        facts = {"phase": step.phase, "seconds": now - self.began, "hpwl": step.hpwl, "cost": step.cost}
        arrays = {
            k: v.astype(np.float32) if v.dtype == np.float64 else v
            for k, v in _arrays(step.placement).items()
        }
        if self._write(name, arrays, facts) and self.folder:
            self._frames.append(self.folder / name)
        if len(self._frames) > FRAMES:
            self._thin()

    def _thin(self) -> None:
        for path in self._frames[1::2]:
            path.unlink(missing_ok=True)
        self._frames = self._frames[::2]
        self._every_s *= 2

    def report(self, report: dict[str, object], page: str) -> None:
        """What the user was told, as JSON, and the run as a page."""
        if self.folder is not None:
            with self._tolerant("result.json"):
                self.folder.mkdir(parents=True, exist_ok=True)
                (self.folder / "result.json").write_text(json.dumps(report, indent=1, default=str))
                if page:
                    (self.folder / "report.html").write_text(page)

    def _read(self, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        return packing.read(self.folder / name) if self.folder else None

    def _write(self, name: str, arrays: dict[str, np.ndarray], facts: dict[str, object]) -> bool:
        if self.folder is None:
            return False
        with self._tolerant(name):
            packing.write(self.folder / name, arrays, facts)
            return True
        return False

    @contextmanager
    def _tolerant(self, name: str) -> Iterator[None]:
        """The work goes on without what could not be kept."""
        try:
            yield
        except OSError as error:
            self.complaint = f"{name} could not be written to {self.folder} ({error.strerror})"


def frames(folder: Path, design: Design) -> list[Frame]:
    """The pictures of the way that a run kept, in order."""
    found = []
    for path in sorted((folder / "frames").glob("*.npz")):
        read = packing.read(path)
        if read is not None and len(read[0]["x"]) == design.cells:
            facts = read[1]
            found.append(
                Frame(_placement(read[0]), facts["phase"], facts["seconds"], facts["hpwl"], facts["cost"])
            )
    return found


def _arrays(placement: Placement) -> dict[str, np.ndarray]:
    return {"x": placement.x, "y": placement.y, "orient": placement.orient.astype(np.int8)}


def _placement(arrays: dict[str, np.ndarray]) -> Placement:
    x, y = (arrays[name].astype(np.float64) for name in ("x", "y"))
    return Placement(x, y, arrays["orient"].astype(np.int64))
