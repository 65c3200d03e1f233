"""Where a placement is written: the format that a file's name tells, known to be writable before the work begins; and its picture."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kerf.core.types import KerfError
from kerf.placement.design import Design, Placement
from kerf.placement.draw import draw
from kerf.placement.draw import save as save_picture
from kerf.placement.formats import load_placement, save, save_placement

OWN = {"bookshelf": ".pl", "circuit_training": ".plc", "lefdef": ".def", "verilog": ".def"}
WHOLE = {".aux": ("bookshelf", "circuit_training", "lefdef", "verilog"), ".pb.txt": ("circuit_training",)}


@dataclass(frozen=True)
class Output:
    """`path` for the placement (alone, or in a whole design), `picture` beside it."""

    path: Path
    design: Design
    whole: bool

    @property
    def picture(self) -> Path:
        name = self.path.name.removesuffix(".gz")
        for ending in (".pb.txt", ".plc", ".pl", ".def", ".aux"):
            name = name.removesuffix(ending)
        return self.path.with_name(name + ".png")

    def write(self, placement: Placement) -> str:
        """The placement and its picture, each whole or not at all; what was wrong with the picture, else "". Raises OSError where the
        placement itself could not be written."""
        put: Callable[[Path, Design, Placement], None] = save if self.whole else save_placement
        put(self.path, self.design, placement)
        try:
            save_picture(
                draw(self.design, placement, "congestion" if self.design.grid else "rudy"), self.picture
            )
        except OSError as error:
            return f"{self.picture} could not be written: {error.strerror}"
        return ""

    def read(self) -> Placement | None:
        """What the file holds; None where it is a whole design."""
        return None if self.whole else load_placement(self.path, self.design)


def output_for(design: Design, path: str | Path | None, source: Path | None = None) -> Output:
    """Where to write, by default NAME.placed in this folder; `source` is the design's own file, which is not overwritten.

    Raises KerfError where the name tells no format that this design can be written in, or nothing can be written there."""
    own = OWN.get(design.format, ".aux")
    chosen = Path(path) if path else Path(f"{design.name}.placed{own}")
    name = chosen.name.removesuffix(".gz")
    whole = next(
        (e for e, formats in WHOLE.items() if name.endswith(e) and design.format in (*formats, "arrays")),
        None,
    )
    if whole is None and (not name.endswith(own) or design.format not in OWN):
        fit = ", ".join([own, *(e for e, formats in WHOLE.items() if design.format in formats and e != own)])
        raise KerfError(
            f"{chosen}: a placement of {design.name} is written as {fit} (and .gz), by the end of the name"
        )
    if source is not None and chosen.exists() and source.exists() and chosen.samefile(source):
        raise KerfError(f"{chosen} is the design itself: name another file with -o")
    _try(chosen)
    return Output(chosen, design, whole is not None)


def _try(path: Path) -> None:
    """Find out now, not after the work, that the file cannot be written."""
    if path.is_dir():
        raise KerfError(f"{path} is a folder: name a file with -o")
    probe = path.with_name(f".{path.name}.{os.getpid()}.probe")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"kerf")
        probe.unlink()
    except OSError as error:
        raise KerfError(f"{path} cannot be written: {error.strerror}. Name another place with -o") from error
