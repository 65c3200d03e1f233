"""A table of inputs and outputs: what a design did in a run that was right, one row a clock cycle.

Inputs of a row are applied, its outputs are those just before the clock edge that ends the cycle. An `x` output is not looked at; an `x` input may
have any value (the layout of RTL-Repair's test benches, Laeufer et al., ASPLOS 2024).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kerf.core.types import KerfError
from kerf.verification.design import Design

IGNORED = ("time",)


@dataclass(frozen=True)
class Table:
    """`rows[t][name]`: the value of a port in cycle t; unknown ones are left out. `restarts`: rows before which everything is as at power-up, besides the
    first; `masks[t, name]`: the bits that are known, where not all are."""

    names: tuple[str, ...]
    rows: tuple[Mapping[str, int], ...]
    restarts: tuple[int, ...] = ()
    masks: Mapping[tuple[int, str], int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def then(self, other: Table) -> Table:
        """Both runs, each from power-up."""
        at = len(self.rows)
        names = tuple(dict.fromkeys((*self.names, *other.names)))
        restarts = (*self.restarts, at, *(at + r for r in other.restarts))
        masks = {**self.masks, **{(at + t, n): m for (t, n), m in other.masks.items()}}
        return Table(names, self.rows + other.rows, restarts if at else other.restarts, masks)

    def constant(self, name: str) -> int | None:
        """The one value of a column, None for several or unknown ones."""
        values = {row.get(name) for row in self.rows}
        return values.pop() if len(values) == 1 else None


def load_table(path: str | Path) -> Table:
    """Read a CSV file; KerfError for cells that are no numbers, with row and column."""
    try:
        text = Path(path).read_text()
    except OSError as error:
        raise KerfError(f"cannot read {path}: {error.strerror}") from error
    return parse_table(text, str(path))


def parse_table(text: str, where: str = "table") -> Table:
    lines = [row for row in csv.reader(text.splitlines()) if row]
    if len(lines) < 2:
        raise KerfError(f"{where}: a header with the names of ports and at least one row are needed")
    names = tuple(n.strip() for n in lines[0])
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if len(line) == len(names) + 1 and not line[-1].strip():
            line = line[:-1]  # a comma at the end
        if len(line) != len(names):
            raise KerfError(f"{where}, line {number}: {len(line)} cells, but the header has {len(names)}")
        cells = ((n, _number(c.strip(), f"{where}, line {number}, {n}")) for n, c in zip(names, line))
        rows.append({n: v for n, v in cells if v is not None and n not in IGNORED})
    return Table(tuple(n for n in names if n not in IGNORED), tuple(rows))


def _number(text: str, where: str) -> int | None:
    if re.fullmatch(r"[0-9]+", text):
        return int(text)
    if re.fullmatch(r"0x[0-9a-fA-F_]+|0b[01_]+", text):
        return int(text.replace("_", ""), 0)
    if re.search(r"[xXzZ?-]", text) or not text:
        return None
    raise KerfError(f"{where}: {text!r} is no number (decimal, 0x.. or 0b..) and no x")


def check_names(table: Table, design: Design) -> None:
    """KerfError when a column is no port, or no column is an output."""
    ports = {p.name: p for p in design.ports}
    unknown = [n for n in table.names if n not in ports]
    if unknown:
        raise KerfError(
            f"column {unknown[0]} of the table is no port of {design.top} (ports: {', '.join(ports)})"
        )
    if not any(ports[n].direction != "input" for n in table.names):
        raise KerfError(f"the table has no column for an output of {design.top}: there is nothing to check")
