"""What the parts of the verification benchmark share: the command line, rows kept as JSON, the table, the clock, the design that two of them measure."""

from __future__ import annotations

import argparse
import json
import os
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerf.verification import yosys

Row = dict[str, Any]
"""`work`, `known` (published), `aim`, `measured` (texts), `seconds`, and whatever else a part has to tell of it."""

RESULTS = Path(__file__).parent / "results"
COLUMNS = {"work": 34, "known": 24, "aim": 26, "measured": 62, "command": 30}

FIFO_HEAD = """module fifo #(parameter W = 8, parameter D = 8, localparam A = $clog2(D)) (
  input logic clk, rst, push, pop, input logic [W-1:0] din, output logic [W-1:0] dout, output logic full, empty, output logic [A:0] count);
  logic [W-1:0] store [0:D-1];
  logic [A-1:0] head, tail;
  wire taking = push && !full, giving = pop && !empty;
  assign full = count == D, empty = count == 0, dout = store[head];
  always_ff @(posedge clk)
    if (rst) begin head <= 0; tail <= 0; count <= 0; end
    else begin
      if (taking) begin store[tail] <= din; tail <= tail + 1'b1; end
      if (giving) head <= head + 1'b1;
      if (taking && !giving) count <= count + 1'b1;
      if (giving && !taking) count <= count - 1'b1;
    end
"""


def part(
    doc: str | None,
    rows: Callable[[argparse.Namespace], Iterable[Row]],
    options: Callable[[argparse.ArgumentParser], object] = lambda parser: None,
) -> None:
    """A part's command line: its rows are printed as they come, and kept in the file that `--out` names."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the checkouts")
    parser.add_argument("--out", type=Path, help="a JSON file of rows; those of the same work are replaced")
    options(parser)
    chosen = parser.parse_args()
    for row in rows(chosen):
        print(f"{row['work']}\n    {row['measured']}   (known: {row['known'] or '/'}; aim: {row['aim']}; {row['seconds']} s)", flush=True)  # fmt: skip
        if chosen.out:
            keep(chosen.out, row)


def kept(path: Path) -> list[Row]:
    return list(json.loads(path.read_text())) if path.exists() else []


def keep(path: Path, row: Row) -> None:
    """A killed benchmark loses only the row that it is at."""
    old = kept(path)
    works = [r["work"] for r in old]
    new = [row if r["work"] == row["work"] else r for r in old] + ([] if row["work"] in works else [row])
    path.write_text(json.dumps(new, indent=1) + "\n")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as text: cells are wrapped, rows kept apart by a line."""
    rule = "  ".join("-" * width for width in COLUMNS.values())
    lines = [_line([name.ljust(width) for name, width in COLUMNS.items()]), rule]
    for row in rows:
        cells = [textwrap.wrap(str(row.get(n) or "/"), width) for n, width in COLUMNS.items()]
        for i in range(max(map(len, cells))):
            lines.append(_line([(c[i] if i < len(c) else "").ljust(w) for c, w in zip(cells, COLUMNS.values())]))  # fmt: skip
        lines.append(rule)
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "  ".join(cells).rstrip()


def cpu_s() -> float:
    """CPU seconds of this process, of children that have ended, and of the warm synthesis workers."""
    spent = sum(os.times()[:4])
    for worker in yosys._WARM.values():
        file = Path(f"/proc/{worker._process.pid}/stat")
        if not file.exists():  # ended for its time, and among the children
            continue
        fields = file.read_text().rpartition(")")[2].split()
        spent += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return spent
