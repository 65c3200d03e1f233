"""Runs of a design that users bring: tables of inputs and outputs (CSV, a row a clock cycle) and value change dumps (VCD)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kerf.core.types import KerfError
from kerf.verification.model import Model
from kerf.verification.trace import Trace

MOST_CYCLES = 10_000_000


@dataclass(frozen=True)
class Table:
    """`inputs[t]`: driven values; `expected[t]`: outputs with a known value in that cycle. Cells that hold an x or z, or are empty, are in neither."""

    name: str
    inputs: tuple[Mapping[str, int], ...]
    expected: tuple[Mapping[str, int], ...]

    def __len__(self) -> int:
        return len(self.inputs)

    def trace(self) -> Trace:
        return Trace(self.inputs)


def read_table(path: Path, model: Model, scope: Sequence[str] = ()) -> Table:
    """A CSV table or a VCD of `model`'s design. In a table numbers are decimal, 0x/0b, or Verilog literals (8'hff); columns that are no ports are refused,
    the clock's column is not needed. `scope`: where in a dump the design's instance is; without it, where its ports are first named. KerfError with file and line."""
    if path.suffix == ".vcd":
        rows = list(_vcd_rows(path, model, list(scope)))
    else:
        rows = list(_csv_rows(path, model))
    if not rows:
        raise KerfError(f"{path}: no cycle in it")
    driven, seen = set(model.graph.signals) & {*model.inputs, *model.held_names}, set(model.outputs)
    inputs = tuple({n: v for n, v in row.items() if n in driven} for row in rows)
    return Table(str(path), inputs, tuple({n: v for n, v in row.items() if n in seen} for row in rows))


def _csv_rows(path: Path, model: Model) -> Iterator[dict[str, int]]:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError as error:
        raise KerfError(f"cannot read {path}: {error.strerror}") from error
    reader = csv.reader(lines)
    header = [n.strip() for n in next(reader, [])]
    ports = {p.name for p in model.design.ports}
    stray = [n for n in header if n not in ports and n.lower() not in ("time", "cycle", "")]
    if stray:
        raise KerfError(
            f"{path}:1: no port called {stray[0]!r} in {model.design.top} (ports: {', '.join(sorted(ports))})"
        )
    for number, row in enumerate(reader, 2):
        if not any(c.strip() for c in row):
            continue
        if len(row) != len(header):
            raise KerfError(f"{path}:{number}: {len(row)} cells where the first line has {len(header)}")
        yield _numbers(header, row, f"{path}:{number}", ports)


def _numbers(header: Sequence[str], row: Sequence[str], place: str, ports: set[str]) -> dict[str, int]:
    found = {}
    for name, cell in zip(header, row):
        if name in ports and (value := number(cell, place)) is not None:
            found[name] = value
    return found


def number(text: str, place: str = "") -> int | None:
    """The value of a cell; None for x, z and nothing."""
    cell = text.strip().lower().replace("_", "")
    based = re.fullmatch(r"(\d+)?'s?([bodh])([0-9a-fxz?]+)", cell)
    if based:
        digits, base = based[3], {"b": 2, "o": 8, "d": 10, "h": 16}[based[2]]
        return None if re.search(r"[xz?]", digits) else int(digits, base)
    if cell == "" or (re.fullmatch(r"[01]*[xz?][01xz?]*", cell) and not cell.startswith("0x")):
        return None
    try:
        return int(cell, 0) if re.match(r"0[xb]", cell) else int(cell)
    except ValueError:
        raise KerfError(f"{place}: {text.strip()!r} is no number") from None


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
