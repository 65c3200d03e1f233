"""A design's files, whatever their format: told by name, read with gzip seen through."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kerf.core.types import KerfError
from kerf.placement.design import Design, Placement
from kerf.placement.formats import bookshelf, circuit_training, def_output, lefdef, verilog


@dataclass(frozen=True)
class Format:
    """`read(design, beside)`: files that a design needs and does not name, such as LEF for DEF, are beside it or given."""

    name: str
    endings: tuple[str, ...]
    read: Callable[[Path, Sequence[Path]], Design]
    read_placement: Callable[[Path, Design], Placement]
    write_placement: Callable[[Path, Design, Placement], None]


FORMATS = (
    Format(
        "bookshelf",
        (".aux",),
        lambda path, beside: bookshelf.read(path),
        bookshelf.read_placement,
        bookshelf.write_placement,
    ),
    Format(
        "circuit_training",
        (".pb.txt", ".pbtxt"),
        circuit_training.read,
        circuit_training.read_placement,
        circuit_training.write_placement,
    ),
    Format("lefdef", (".def",), lefdef.read, lefdef.read_placement, def_output.write_placement),
    Format("verilog", (".v",), verilog.read, lefdef.read_placement, def_output.write_placement),
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


def load(path: Path, beside: Sequence[Path] = ()) -> Design:
    """Read a design. `beside`: other files that it needs: LEF for a DEF, a .plc for a Circuit Training netlist.

    Raises KerfError, with file and line where one is malformed."""
    known = format_of(path)
    for needed in (path, *beside):
        if not needed.is_file():
            raise KerfError(f"{needed}: no such file")
    return known.read(path, beside)


def load_placement(path: Path, design: Design) -> Placement:
    """Read a placement of the design, in the design's own format."""
    if not path.is_file():
        raise KerfError(f"{path}: no such file")
    return _named(design.format).read_placement(path, design)


def save_placement(path: Path, design: Design, placement: Placement) -> None:
    """Write a placement in the design's own format, whole or not at all."""
    _named(design.format).write_placement(path, design, placement)


def save(path: Path, design: Design, placement: Placement) -> None:
    """Write a whole design, placed, in the format that the file's name tells: any design as Bookshelf, the others as what they were.

    Bookshelf knows no die but the box around the rows. Raises KerfError where the design has not what
    the format needs."""
    known = format_of(path)
    if known.name == "bookshelf":
        bookshelf.write(path, design, placement)
    elif known.name == "circuit_training":
        circuit_training.write(path, design, placement)
    elif known.name == "verilog":
        raise KerfError(f"{path}: a netlist in Verilog holds no places: write the placement as .def")
    else:
        def_output.write_placement(path, design, placement)


def _named(name: str) -> Format:
    return next(known for known in FORMATS if known.name == name)
