"""Net weights from a slack report, so that placement can be driven by timing.

Two reports are read, told by their content: OpenSTA's `report_checks` (the default format, with or without `-fields {net}`), and CSV with
a heading `net,slack` or `pin,slack`. A net takes the worst slack of the paths, or rows, that name it. Slack becomes weight as in the
criticality weighting of OpenROAD's timing-driven placement (gpl): linear from 1 at the limit to 1 + boost at the worst slack, here with an exponent.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kerf.core.types import KerfError
from kerf.placement.design import Design, Floats
from kerf.placement.formats import lefdef, text
from kerf.placement.formats.text import FormatError, number

PIN = re.compile(r"^\s*[-+.\d\s]*[\^v]\s+(\S+)\s+\((\S+)\)\s*$")
NET = re.compile(r"^\s*[-+.\d\s]*?(\S+)\s+\(net\)\s*$")
SLACK = re.compile(r"^\s*(\S+)\s+slack\s+\((?:MET|VIOLATED)")
PORTS = ("in", "out", "inout")
HEADINGS = ("net", "pin")


def weights(
    design: Design, path: Path, *, boost: float = 2.0, exponent: float = 1.0, limit: float = 0.0
) -> Floats:
    """(M,) the design's net weights, times 1 + boost * criticality ** exponent.

    Criticality is 0 at a slack of `limit` (in the report's unit) and above, 1 at the worst slack of the report, and linear between; a net
    that the report does not name keeps its weight. Give the result to `GlobalOptions.net_weight`, or make a design with it:
    `dataclasses.replace(design, net_weight=weights(design, path))`; wirelength is then measured with these weights, so compare placements by the
    design's own. Raises KerfError, with file and line, for a malformed report or a name the design has not."""
    if boost < 0 or exponent <= 0:
        raise KerfError(f"timing: boost must not be negative and exponent positive, not {boost}, {exponent}")
    slack = slacks(design, path)
    late = np.isfinite(slack) & (slack < limit)
    if not late.any():
        return design.net_weight.copy()
    critical = np.zeros(design.nets)
    critical[late] = (limit - slack[late]) / (limit - slack[late].min())
    return np.asarray(design.net_weight * (1.0 + boost * critical**exponent))


def slacks(design: Design, path: Path) -> Floats:
    """(M,) each net's worst slack in the report, in its unit; NaN where it says nothing."""
    content = text.read(path)
    worst = np.full(design.nets, np.nan)
    entries = _checks if "Startpoint:" in content else _table
    try:
        for nets, slack in entries(design, path, content):
            worst[nets] = np.fmin(worst[nets], slack)
    except csv.Error as error:
        raise KerfError(f"{path}: not CSV: {error}") from error
    return worst


Entry = tuple[list[int], float]


def _checks(design: Design, path: Path, content: str) -> Iterator[Entry]:
    """(nets of a path, its slack). A net named by `-fields {net}` counts by its name; without it, the nets that one pin's cell drives
    and the next one's is on."""
    find = _Finder(design, path)
    nets: list[int] = []
    last, line, inside, arrived = -1, 0, False, False
    for line, words in enumerate(content.splitlines(), 1):
        if words.startswith("Startpoint:"):
            nets, last, inside, arrived = [], -1, True, False
        elif "data arrival time" in words:
            arrived = True  # what follows is the capturing clock's own path
        elif slack := SLACK.match(words):
            yield sorted(set(nets)), number(path, line, slack[1], "a slack")
            inside = False
        elif not inside or arrived:
            continue
        elif named := NET.match(words):
            nets.append(find.net(line, named[1]))
        elif pin := PIN.match(words):
            cell = find.cell(line, pin[1], pin[2] in PORTS)
            nets += find.between(last, cell)
            last = cell
    if inside:
        raise FormatError(path, line, "`slack (MET)` or `slack (VIOLATED)` at the end of a path", text.END)


def _table(design: Design, path: Path, content: str) -> Iterator[Entry]:
    """CSV with a heading; other columns are passed over."""
    rows = csv.reader(content.splitlines())
    heading = [name.strip().lower() for name in next(rows, [])]
    what = next((name for name in HEADINGS if name in heading), None)
    if what is None or "slack" not in heading:
        raise FormatError(
            path,
            1,
            "OpenSTA's report_checks, or CSV with the heading `net,slack` or `pin,slack`",
            ",".join(heading),
        )
    find = _Finder(design, path)
    named, given = heading.index(what), heading.index("slack")
    for row in rows:
        if not row:
            continue
        if len(row) <= max(named, given):
            raise FormatError(path, rows.line_num, f"{len(heading)} values", ",".join(row))
        name = row[named].strip()
        net = find.net(rows.line_num, name) if what == "net" else find.pin(rows.line_num, name)
        yield [net], number(path, rows.line_num, row[given].strip(), "a slack")


class _Finder:
    """The design's nets by the names that a report calls them; backslashes of escaped names do not count."""

    def __init__(self, design: Design, path: Path) -> None:
        self.design, self.path = design, path
        self.nets = {_bare(name): i for i, name in reversed(list(enumerate(design.net_names)))}
        self.cells = {_bare(name): i for i, name in enumerate(design.cell_names)}
        filled = np.diff(design.net_start) > 0
        driver = np.full(design.nets, -1)
        driver[filled] = design.pin_cell[design.net_start[:-1][filled]]
        self.driven: dict[int, list[int]] = {}
        for net, cell in enumerate(driver):
            self.driven.setdefault(int(cell), []).append(net)
        self.pins: dict[str, int] | None = None

    def net(self, line: int, name: str) -> int:
        found = self.nets.get(_bare(name))
        if found is None:
            raise FormatError(self.path, line, "a net of the design", name)
        return found

    def cell(self, line: int, pin: str, port: bool) -> int:
        """The cell of `instance/pin`, or the port."""
        found = self.cells.get(_bare(pin if port else pin.rpartition("/")[0]))
        if found is None:
            raise FormatError(self.path, line, "a port, or a pin of a cell of the design", pin)
        return found

    def between(self, driver: int, sink: int) -> list[int]:
        """The nets that one cell drives and another is on; none inside a cell."""
        d = self.design
        return [
            net
            for net in self.driven.get(driver, [])
            if driver != sink and sink in d.pin_cell[d.net_start[net] + 1 : d.net_start[net + 1]]
        ]

    def pin(self, line: int, name: str) -> int:
        """The net of `instance/pin`, or of a port."""
        if self.pins is None:
            self.pins = {_bare(pin): net for pin, net in lefdef.pin_nets(self.design).items()}
        found = self.pins.get(_bare(name))
        if found is None:
            raise FormatError(self.path, line, "`INSTANCE/PIN` or a port, connected by a net", name)
        return found


def _bare(name: str) -> str:
    return name.replace("\\", "")
