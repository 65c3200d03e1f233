"""What a DEF says of where its components may go: regions, groups and halos, as arrays that know nothing of the format.

DEF 5.8, sections REGIONS and GROUPS, and `+ REGION` and `+ HALO` of a component. Hard placement blockages are fixed macros of the design itself
(see `lefdef`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerf.placement.design import Design, Floats, Ints
from kerf.placement.formats import lefdef
from kerf.placement.formats.def_statements import statements
from kerf.placement.formats.text import FormatError, number

POINT = re.compile(r"\(\s*(\S+)\s+(\S+)\s*\)")
TYPE = re.compile(r"\+\s+TYPE\s+(\S+)")
REGION = re.compile(r"\+\s+REGION\s+(\S+)")
HALO = re.compile(r"\+\s+HALO\s+(?:SOFT\s+)?(\S+)\s+(\S+)\s+(\S+)\s+(\S+)")


@dataclass(frozen=True)
class Region:
    """rects: (K, 4) left, bottom, right, top in database units. kind: "FENCE" (its cells inside, all others outside), "GUIDE" (a wish), or ""
    (its cells inside). cells: (L,) indices, rising."""

    name: str
    kind: str
    rects: Floats
    cells: Ints


@dataclass(frozen=True)
class Group:
    """Cells that belong together, in no region."""

    name: str
    cells: Ints


@dataclass(frozen=True)
class Floorplan:
    """halo: (C, 4) clear space at the left, bottom, right and top of each component as it lies in N, in database units."""

    regions: tuple[Region, ...]
    groups: tuple[Group, ...]
    halo: Floats


def floorplan(design: Design) -> Floorplan:
    """The regions, groups and halos of a design that has a DEF; none of any other.

    Raises FormatError with the line in the DEF for a malformed one, or a region or component that is not there."""
    source = design.source
    found = _Found(design)
    if isinstance(source, lefdef.Source):
        for section, statement, at in statements(Path(design.name), source.content):
            if section == "REGIONS":
                found.region(statement, at)
            elif section == "GROUPS":
                found.group(statement, at)
            elif section == "COMPONENTS":
                found.component(statement, at)
    return found.floorplan()


class _Found:
    """What has been read so far; a DEF gives REGIONS before COMPONENTS and GROUPS after."""

    def __init__(self, design: Design) -> None:
        self.design = design
        self.index = {name: i for i, name in enumerate(design.cell_names)}
        self.boxes: dict[str, tuple[str, Floats]] = {}
        self.cells: dict[str, set[int]] = {}
        self.groups: list[Group] = []
        self.halo = np.zeros((design.cells, 4))

    def refuse(self, at: int, expected: str, found: str) -> FormatError:
        line = self.design.source.content.count("\n", 0, at) + 1
        return FormatError(f"{self.design.name}.def", line, expected, found)

    def numbers(self, at: int, words: tuple[str, ...], what: str) -> list[float]:
        try:
            return [number(Path(self.design.name), 0, word, what) for word in words]
        except FormatError:
            raise self.refuse(at, what, " ".join(words)) from None

    def region(self, statement: str, at: int) -> None:
        """`- name ( x y ) ( x y ) ... [+ TYPE FENCE|GUIDE]`"""
        name = (statement.split(None, 2) + ["", ""])[1]
        points = [self.numbers(at, point, "a corner") for point in POINT.findall(statement)]
        if not points or len(points) % 2 or name in self.boxes:
            raise self.refuse(at, "`- NAME` not used before and pairs of corners", statement[:40])
        table = np.array(points).reshape(-1, 2, 2)
        rects = np.concatenate([table.min(axis=1), table.max(axis=1)], axis=1)
        kind = TYPE.search(statement)
        self.boxes[name] = (kind[1] if kind else "", rects)
        self.cells[name] = set()

    def group(self, statement: str, at: int) -> None:
        """`- name pattern ... [+ REGION name]`"""
        words = statement.partition("+")[0].split()
        cells = {cell for pattern in words[2:] for cell in self.matching(pattern)}
        where = REGION.search(statement)
        if where is None:
            self.groups.append(Group((words + [""])[1], np.array(sorted(cells), np.int64)))
        else:
            self.members(where[1], at).update(cells)

    def matching(self, pattern: str) -> list[int]:
        """The components that a name with `*` means."""
        if "*" not in pattern:
            return [self.index[pattern]] if pattern in self.index else []
        known = re.compile(".*".join(map(re.escape, pattern.split("*"))))
        return [cell for name, cell in self.index.items() if known.fullmatch(name)]

    def members(self, region: str, at: int) -> set[int]:
        if region not in self.cells:
            raise self.refuse(at, "a region of the REGIONS section", region)
        return self.cells[region]

    def component(self, statement: str, at: int) -> None:
        cell = self.index.get(statement.split(None, 2)[1])
        if cell is None:  # a filler
            return
        where, around = REGION.search(statement), HALO.search(statement)
        if where:
            self.members(where[1], at).add(cell)
        if around:
            self.halo[cell] = self.numbers(at, around.groups(), "four widths of a halo")

    def floorplan(self) -> Floorplan:
        regions = [
            Region(name, kind, rects, np.array(sorted(self.cells[name]), np.int64))
            for name, (kind, rects) in self.boxes.items()
        ]
        return Floorplan(tuple(regions), tuple(self.groups), self.halo)
