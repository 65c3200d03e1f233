"""A design's files, whatever their format: told by name, read with gzip seen through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kerf.core.types import KerfError
from kerf.placement.design import Design, Placement
from kerf.placement.formats import bookshelf


@dataclass(frozen=True)
class Format:
    """`read(design)`, `read_placement(file, design)`, `write_placement(file, design, placement)`."""

    name: str
    endings: tuple[str, ...]
    read: Callable[[Path], Design]
    read_placement: Callable[[Path, Design], Placement]
    write_placement: Callable[[Path, Design, Placement], None]


FORMATS = (
    Format("bookshelf", (".aux",), bookshelf.read, bookshelf.read_placement, bookshelf.write_placement),
)


def format_of(path: Path) -> Format:
    """The format that a design's file is in, by the end of its name."""
    name = path.name.removesuffix(".gz")
    for known in FORMATS:
        if name.endswith(known.endings):
            return known
    endings = ", ".join(e for known in FORMATS for e in known.endings)
    raise KerfError(
        f"{path}: not a design that kerf reads (its name should end in {endings}, or that and .gz)"
    )


def load(path: Path) -> Design:
    """Read a design. Raises KerfError, with file and line where it is malformed."""
    known = format_of(path)
    if not path.is_file():
        raise KerfError(f"{path}: no such file")
    return known.read(path)


def load_placement(path: Path, design: Design) -> Placement:
    """Read a placement of the design, in the design's own format."""
    if not path.is_file():
        raise KerfError(f"{path}: no such file")
    return _named(design.format).read_placement(path, design)


def save_placement(path: Path, design: Design, placement: Placement) -> None:
    """Write a placement in the design's own format, whole or not at all."""
    _named(design.format).write_placement(path, design, placement)


def _named(name: str) -> Format:
    return next(known for known in FORMATS if known.name == name)
