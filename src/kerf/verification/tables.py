"""Runs of a design that users bring: tables of inputs and outputs (CSV, a row a clock cycle) and value change dumps (VCD)."""

from __future__ import annotations

import csv
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kerf.core.types import KerfError
from kerf.verification.design import Design
from kerf.verification.model import Model
from kerf.verification.trace import Trace

IGNORED = ("time", "cycle", "")


@dataclass(frozen=True)
class Table:
    """`inputs[t]`: driven values in cycle t, before its clock edge; `expected[t]`: outputs just before the edge that ends the cycle. What is unknown (x, z,
    an empty cell) is in neither. `restarts`: cycles before which everything is as at power-up, besides the first; `masks[t, name]`: the bits that
    are known, where not all are (the layout of RTL-Repair's test benches, Laeufer et al., ASPLOS 2024)."""

    name: str
    inputs: tuple[Mapping[str, int], ...]
    expected: tuple[Mapping[str, int], ...]
    restarts: tuple[int, ...] = ()
    masks: Mapping[tuple[int, str], int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.inputs)

    def trace(self) -> Trace:
        return Trace(self.inputs)

    def then(self, other: Table) -> Table:
        """Both runs, each from power-up."""
        at = len(self)
        masks = {**self.masks, **{(at + t, n): m for (t, n), m in other.masks.items()}}
        restarts = (*self.restarts, *([at] if at else []), *(at + r for r in other.restarts))
        return Table(self.name, self.inputs + other.inputs, self.expected + other.expected, restarts, masks)

    def constant(self, name: str) -> int | None:
        """The one value of an input, None for several or unknown ones."""
        values = {row.get(name) for row in self.inputs}
        return values.pop() if len(values) == 1 else None

    def largest(self) -> Mapping[str, int]:
        """Of each column, the largest value."""
        found: dict[str, int] = {}
        for row in (*self.inputs, *self.expected):
            found |= {n: max(v, found.get(n, 0)) for n, v in row.items()}
        return found


def read_table(path: Path, model: Model, scope: Sequence[str] = ()) -> Table:
    """A CSV table or a VCD of `model`'s design, what the model has of it. `scope`: where in a dump the design's instance is; without it, where its ports
    are first named. KerfError with file and line."""
    if path.suffix == ".vcd":
        rows = list(_vcd_rows(path, model, list(scope)))
        if not rows:
            raise KerfError(f"{path}: no cycle in it")
        table = _split(str(path), rows, model.design)
    else:
        table = load_table(path, model.design)
    driven, seen = set(model.graph.signals) & {*model.inputs, *model.held_names}, set(model.outputs)
    return replace(table, inputs=_only(table.inputs, driven), expected=_only(table.expected, seen))


def load_table(path: str | Path, design: Design) -> Table:
    """A CSV file: see `parse_table`."""
    try:
        text = Path(path).read_text(errors="replace")
    except OSError as error:
        raise KerfError(f"cannot read {path}: {error.strerror}") from error
    return parse_table(text, design, str(path))


def parse_table(text: str, design: Design, where: str = "table") -> Table:
    """A column a port, a row a clock cycle. Numbers are decimal, 0x.. or 0b.., or Verilog literals (8'hff); x, z, - and nothing are unknown, negative ones are in two's complement; columns
    called time or cycle are not looked at, the clock's is not needed. KerfError for other columns, and for cells that are no numbers, with line and column."""
    lines = csv.reader(text.splitlines())
    header = [n.strip() for n in next(lines, [])]
    ports = {p.name: p.width for p in design.ports}
    stray = [n for n in header if n not in ports and n.lower() not in IGNORED]
    if stray:
        raise KerfError(
            f"{where}:1: no port called {stray[0]!r} in {design.top} (ports: {', '.join(sorted(ports))})"
        )
    filled = ((number, row) for number, row in enumerate(lines, 2) if any(c.strip() for c in row))
    rows = [_numbers(header, row, f"{where}:{number}", ports) for number, row in filled]
    if not rows:
        raise KerfError(
            f"{where}: no cycle in it (a line with the names of ports comes first, then a line a cycle)"
        )
    return _split(where, rows, design)


def _split(name: str, rows: Sequence[Mapping[str, int]], design: Design) -> Table:
    inputs = {p.name for p in design.ports if p.direction == "input"}
    outputs = {p.name for p in design.ports} - inputs
    return Table(name, _only(rows, inputs), _only(rows, outputs))


def _only(rows: Sequence[Mapping[str, int]], names: Container[str]) -> tuple[Mapping[str, int], ...]:
    return tuple({n: v for n, v in row.items() if n in names} for row in rows)


def _numbers(
    header: Sequence[str], row: Sequence[str], place: str, widths: Mapping[str, int]
) -> dict[str, int]:
    if len(row) == len(header) + 1 and not row[-1].strip():
        row = row[:-1]  # a comma at the end
    if len(row) != len(header):
        raise KerfError(f"{place}: {len(row)} cells where the first line has {len(header)}")
    cells = ((n, number(c, f"{place}, {n}")) for n, c in zip(header, row) if n in widths)
    return {n: v if v >= 0 else v & (1 << widths[n]) - 1 for n, v in cells if v is not None}


def number(text: str, place: str = "") -> int | None:
    """The value of a cell; None for x, z, - and nothing."""
    cell = text.strip().lower().replace("_", "")
    based = re.fullmatch(r"(\d+)?'s?([bodh])([0-9a-fxz?]+)", cell)
    if based:
        digits, base = based[3], {"b": 2, "o": 8, "d": 10, "h": 16}[based[2]]
        return None if re.search(r"[xz?]", digits) else int(digits, base)
    if re.fullmatch(r"(0[xb])?[0-9a-f]*[xz?][0-9a-fxz?]*|-*", cell) and not re.fullmatch(
        r"0x[0-9a-f]+", cell
    ):
        return None
    try:
        return int(cell, 0) if re.match(r"0[xb]", cell) else int(cell)
    except ValueError:
        raise KerfError(
            f"{place}: {text.strip()!r} is no number (decimal, 0x.., 0b.., 8'h..) and no x"
        ) from None


def _vcd_rows(path: Path, model: Model, wanted: Sequence[str]) -> Iterator[dict[str, int]]:
    """The ports' values just before each active edge of the clock; for combinational designs at each change of time."""
    ports = {p.name for p in model.design.ports}
    names: dict[str, str] = {}
    values: dict[str, str] = {}
    scope: list[str] = []
    before: dict[str, str] = {}
    clock = model.clock
    changed = False
    with path.open(errors="replace") as lines:
        for line in lines:
            word = line.split()
            if not word:
                continue
            if word[0] == "$scope":
                scope.append(word[2])
            elif word[0] == "$upscope":
                scope.pop()
            elif word[0] == "$var" and word[4] in ports and wanted in ([], scope):
                names.setdefault(word[4], word[3])  # the least deep scope comes first
            elif word[0].startswith("#"):
                if not clock and changed:
                    yield _known(names, values)
                before, changed = dict(values), False
            elif word[0][0] in "01xXzZ" and len(word) == 1:
                code, new = word[0][1:], word[0][0]
                if code == names.get(clock) and values.get(code) == "0" and new == "1":
                    yield _known(names, before)
                values[code], changed = new, True
            elif word[0][0] in "bB" and len(word) == 2:
                values[word[1]], changed = word[0][1:], True
    if not names:
        raise KerfError(f"{path}: none of {model.design.top}'s ports is in it")
    if not clock and changed:
        yield _known(names, values)


def _known(names: Mapping[str, str], values: Mapping[str, str]) -> dict[str, int]:
    return {
        name: int(values[code], 2)
        for name, code in names.items()
        if code in values and re.fullmatch("[01]+", values[code])
    }
