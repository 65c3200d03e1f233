"""Constraints as people say them: typed geometry, one small class each.

Lengths are in the unit that `kerf score` shows: micrometres where the design's format has them, else its own. `cells` are names or globs: `*`
and `?` match anything, brackets stand for themselves (names of bus bits have them). `exact(constraint)` is its form on the command line, which
`read` takes, as it takes a TOML file, or these objects; `str` leaves out some of many names. How they are enforced is in `lowering`, how they are proved in `proof`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.design import Design

Box = tuple[float, float, float, float]
SIDES = ("left", "bottom", "right", "top")
LINES = (*SIDES, "x", "y")


@dataclass(frozen=True)
class Fixed:
    """These cells stay where they are, as they are oriented."""

    cells: tuple[str, ...]

    def words(self, names: str) -> str:
        return f"fixed {names}"

    def __str__(self) -> str:
        return self.words(_short(self.cells))


@dataclass(frozen=True)
class Region:
    """Each of these cells lies inside `box` (left, bottom, right, top) altogether, or inside several boxes taken together. Others may
    too, unless the region is `exclusive`, a fence: then no other movable cell overlaps it."""

    cells: tuple[str, ...]
    box: Box | tuple[Box, ...]
    exclusive: bool = False

    @property
    def boxes(self) -> tuple[Box, ...]:
        return self.box if isinstance(self.box[0], tuple) else (self.box,)  # type: ignore[return-value]

    def words(self, names: str) -> str:
        where = " + ".join(map(_lengths, self.boxes))
        return f"region {names} {where}{' exclusive' if self.exclusive else ''}"

    def __str__(self) -> str:
        return self.words(_short(self.cells))


@dataclass(frozen=True)
class Keepout:
    """No movable cell overlaps `box`."""

    box: Box

    def words(self, names: str = "") -> str:
        return f"keepout {_lengths(self.box)}"

    def __str__(self) -> str:
        return self.words()


@dataclass(frozen=True)
class Halo:
    """These hard macros keep `width` of clear space to every other hard object."""

    cells: tuple[str, ...]
    width: float

    def words(self, names: str) -> str:
        return f"halo {names} {self.width:.12g}"

    def __str__(self) -> str:
        return self.words(_short(self.cells))


@dataclass(frozen=True)
class Edge:
    """These cells touch one side of the die; standard cells stand within a site of the end of the rows."""

    cells: tuple[str, ...]
    side: str

    def words(self, names: str) -> str:
        return f"edge {names} {self.side}"

    def __str__(self) -> str:
        return self.words(_short(self.cells))


@dataclass(frozen=True)
class Group:
    """The box around these cells is at most `within` wide and high, wherever it lies."""

    cells: tuple[str, ...]
    within: float

    def words(self, names: str) -> str:
        return f"group {names} within {self.within:.12g}"

    def __str__(self) -> str:
        return self.words(_short(self.cells))


@dataclass(frozen=True)
class Align:
    """These cells share a line, wherever it lies: their left, right, bottom or top edges, or their centres' x or y."""

    cells: tuple[str, ...]
    line: str

    def words(self, names: str) -> str:
        return f"align {names} {self.line}"

    def __str__(self) -> str:
        return self.words(_short(self.cells))


@dataclass(frozen=True)
class Orient:
    """These cells take one of the orientations `allowed` (N W S E FN FW FS FE)."""

    cells: tuple[str, ...]
    allowed: tuple[str, ...]

    def words(self, names: str) -> str:
        return f"orient {names} {' '.join(self.allowed)}"

    def __str__(self) -> str:
        return self.words(_short(self.cells))


Constraint = Fixed | Region | Keepout | Halo | Edge | Group | Align | Orient
KINDS: dict[str, type[Any]] = {
    kind.__name__.lower(): kind for kind in (Fixed, Region, Keepout, Halo, Edge, Group, Align, Orient)
}
USAGE = {
    "fixed": "fixed CELL...",
    "region": "region CELL... LEFT BOTTOM RIGHT TOP [+ LEFT BOTTOM RIGHT TOP]... [exclusive]",
    "keepout": "keepout LEFT BOTTOM RIGHT TOP",
    "halo": "halo MACRO... WIDTH",
    "edge": "edge CELL... left|right|bottom|top",
    "group": "group CELL... within LENGTH",
    "align": "align CELL... left|right|bottom|top|x|y",
    "orient": "orient CELL... N|W|S|E|FN|FW|FS|FE...",
}


SHOWN = 4


def _short(cells: tuple[str, ...]) -> str:
    return " ".join(cells) if len(cells) <= SHOWN else f"{' '.join(cells[:SHOWN])} ... ({len(cells)} in all)"


def exact(constraint: Constraint) -> str:
    """In words, with every name."""
    return constraint.words(" ".join(getattr(constraint, "cells", ())))


def read(items: Sequence[str | Path | Constraint], design: Design) -> tuple[Constraint, ...]:
    """Constraints of a design: each item one in words, a TOML file (a path, or a string that ends in .toml), or an object.

    Raises KerfError that says what was expected. Whether their cells exist is for `cells.named` to say."""
    found: list[Constraint] = []
    for item in items:
        if isinstance(item, Path) or (isinstance(item, str) and item.endswith(".toml")):
            found += _from_toml(Path(item), design)
        else:
            found.append(_checked(_from_words(item, design) if isinstance(item, str) else item, str(item)))
    return tuple(found)


# In words


def _from_words(text: str, design: Design) -> Constraint:
    kind, *words = text.replace(" um", "um").split() or [""]
    if kind not in KINDS:
        raise KerfError(f"constraint {text!r}: begin with one of {', '.join(KINDS)}")
    try:
        constraint: Constraint = PARSERS[kind](words, design)
    except ValueError as error:
        raise KerfError(f"constraint {text!r}: {error}. Expected `{USAGE[kind]}`") from error
    return constraint


def _some(words: Sequence[str]) -> tuple[str, ...]:
    if not words:
        raise ValueError("no cells are named")
    return tuple(words)


def _box(words: Sequence[str], design: Design) -> Box:
    if len(words) != 4:
        raise ValueError(f"a box takes four numbers, found {len(words)}")
    left, bottom, right, top = (length(w, design) for w in words)
    return left, bottom, right, top


def _region(words: Sequence[str], design: Design) -> Region:
    exclusive = words[-1:] == ["exclusive"]
    words = words[:-1] if exclusive else words
    corners = [words[-4:]]
    while words[-5:-4] == ["+"]:
        words = words[:-5]
        corners.insert(0, words[-4:])
    cells, boxes = _some(words[:-4]), [_box(four, design) for four in corners]
    return Region(cells, boxes[0] if len(boxes) == 1 else tuple(boxes), exclusive)


def length(word: str | float, design: Design) -> float:
    """A number, or one followed by `um` where the design's format has micrometres. ValueError for anything else."""
    text = str(word)
    if text.endswith("um") and design.per_um is None:
        raise ValueError(f"{word!r}: {design.name} has no micrometres, give lengths in its own unit")
    try:
        value = float(text.removesuffix("um"))
    except ValueError:
        raise ValueError(f"{word!r} is no length") from None
    if not abs(value) < float("inf"):
        raise ValueError(f"{word!r} is no finite length")
    return value


def _group(words: Sequence[str], design: Design) -> Group:
    if len(words) < 3 or words[-2] != "within":
        raise ValueError("`within LENGTH` is missing")
    return Group(_some(words[:-2]), length(words[-1], design))


def _orient(words: Sequence[str], design: Design) -> Orient:
    first = next((i for i, w in enumerate(words) if i and all(o in orient.CODES for o in words[i:])), None)
    if first is None:
        raise ValueError("no orientation is given")
    return Orient(_some(words[:first]), tuple(words[first:]))


def _tail(words: Sequence[str], what: str) -> tuple[tuple[str, ...], str]:
    if len(words) < 2:
        raise ValueError(f"cells and {what} are needed")
    return tuple(words[:-1]), words[-1]


PARSERS: dict[str, Callable[[Sequence[str], Design], Any]] = {
    "fixed": lambda words, d: Fixed(_some(words)),
    "region": _region,
    "keepout": lambda words, d: Keepout(_box(words, d)),
    "halo": lambda words, d: Halo(_tail(words, "a width")[0], length(words[-1], d)),
    "edge": lambda words, d: Edge(*_tail(words, "a side")),
    "group": _group,
    "align": lambda words, d: Align(*_tail(words, "a line")),
    "orient": _orient,
}


# As TOML


def _from_toml(path: Path, design: Design) -> list[Constraint]:
    """Tables `[[region]]`, `[[edge]]`, ... whose keys are the fields of the class of that name."""
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise KerfError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KerfError(f"{path}: not TOML: {error}") from error
    found: list[Constraint] = []
    for kind, entries in tables.items():
        if kind not in KINDS or not isinstance(entries, list):
            raise KerfError(f"{path}: found {kind!r}, expected [[TABLES]] named {', '.join(KINDS)}")
        found += [_from_table(path, kind, i, entry, design) for i, entry in enumerate(entries, 1)]
    return found


def _from_table(path: Path, kind: str, number: int, entry: Any, design: Design) -> Constraint:
    where = f"{path}: [[{kind}]] number {number}"
    wanted = [f.name for f in fields(KINDS[kind]) if f.default is MISSING]
    known = {f.name for f in fields(KINDS[kind])}
    if not isinstance(entry, dict) or not set(wanted) <= set(entry) <= known:
        have = ", ".join(entry) if isinstance(entry, dict) else type(entry).__name__
        raise KerfError(f"{where}: expected the keys {', '.join(wanted)}, found {have}")
    try:
        return _checked(KINDS[kind](**{key: _value(key, entry[key], design) for key in entry}), where)
    except (TypeError, ValueError) as error:
        raise KerfError(f"{where}: {error}") from error


def _value(key: str, value: Any, design: Design) -> Any:
    if key in ("cells", "allowed"):
        words = value.split() if isinstance(value, str) else value
        if not isinstance(words, list) or not all(isinstance(w, str) for w in words):
            raise ValueError(f"{key} takes a list of words")
        return _some(words)
    if key == "box":
        return _boxes(value, design)
    if key == "exclusive" and not isinstance(value, bool):
        raise ValueError("exclusive is true or false")
    return length(value, design) if key in ("width", "within") else value


def _boxes(value: Any, design: Design) -> Box | tuple[Box, ...]:
    """One box, or a list of them."""
    if not isinstance(value, list) or not value:
        raise ValueError("a box is a list of four numbers")
    if all(isinstance(item, list) for item in value):
        found = tuple(_box(item, design) for item in value)
        return found[0] if len(found) == 1 else found
    return _box(value, design)


# What no design could meet


def _checked(constraint: Constraint, where: str) -> Constraint:
    complaint = _complaint(constraint)
    if complaint:
        raise KerfError(f"constraint {where!r}: {complaint}")
    return constraint


def _complaint(constraint: Constraint) -> str:
    match constraint:
        case Region():
            return next(filter(None, map(_emptiness, constraint.boxes)), "")
        case Keepout(box=box):
            return _emptiness(box)
        case Halo(width=width) if width < 0:
            return f"a halo cannot be negative ({width:g})"
        case Group(within=within) if within <= 0:
            return f"a group needs a positive length ({within:g})"
        case Edge(side=side) if side not in SIDES:
            return f"{side!r} is no side: choose left, right, bottom or top"
        case Align(line=line) if line not in LINES:
            return f"{line!r} is no line: choose {', '.join(LINES)}"
        case Orient(allowed=allowed) if not allowed or set(allowed) - set(orient.NAMES):
            return f"orientations are {' '.join(orient.NAMES)}, not {' '.join(allowed)!r}"
    return ""


def _emptiness(box: Box) -> str:
    if box[2] > box[0] and box[3] > box[1]:
        return ""
    return f"the box is empty: its right and top ({box[2]:g}, {box[3]:g}) must lie beyond its left and bottom ({box[0]:g}, {box[1]:g})"


def _lengths(box: Box) -> str:
    return " ".join(f"{value:.12g}" for value in box)


def rounding(design: Design) -> float:
    """How far apart two edges may be that "touch" or "share a line", in the design's unit: what the format rounds, or a millionth of
    the die."""
    left, bottom, right, top = design.die
    return max(2 * design.tolerance, 1e-6 * max(right - left, top - bottom))
