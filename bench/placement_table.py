"""Rows of the placement benchmark: kept as JSON, one appended as each case ends, and printed as one table."""

from __future__ import annotations

import json
import math
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One number beside a published one. Lower is better in every metric here. `published` is NaN where nobody gives one. `legal` is None
    where legality is not asked (global placement alone, an evaluator's speed). `problem`: why there is no number."""

    group: str
    case: str
    metric: str
    unit: str
    ours: float
    published: float = math.nan
    by: str = ""
    legal: bool | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    seed: int = 0
    threads: int = 1
    command: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.group, self.case, self.metric

    @property
    def ratio(self) -> float:
        return self.ours / self.published


class Results:
    """The rows so far, in one file; a row of the same group, case and metric replaces the older."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[tuple[str, str, str], Row] = {}
        if path.exists():
            for kept in json.loads(path.read_text())["rows"]:
                numbers = {k: math.nan if kept[k] is None else kept[k] for k in ("ours", "published")}
                row = Row(**{k: v for k, v in kept.items() if k not in ("ratio", "machine")} | numbers)
                self.rows[row.key] = row
        self.machine = machine()

    def has(self, group: str, case: str) -> bool:
        """Whether the case has run to its end."""
        found = [r for r in self.rows.values() if (r.group, r.case) == (group, case)]
        return bool(found) and not any(r.problem for r in found)

    def add(self, row: Row) -> None:
        stale = [k for k, r in self.rows.items() if k[:2] == row.key[:2] and r.problem]
        for key in stale:
            del self.rows[key]
        self.rows[row.key] = row
        self.save()

    def save(self) -> None:
        """Whole or not at all: a killed benchmark keeps what it measured."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = [asdict(r) | {"ratio": r.ratio} for r in self.rows.values()]
        for row in kept:
            row.update({k: None for k in ("ours", "published", "ratio") if row[k] != row[k]})
        partial = self.path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps({"machine": self.machine, "rows": kept}, indent=1) + "\n")
        partial.replace(self.path)


def machine() -> str:
    """What the numbers were measured on."""
    try:
        text = Path("/proc/cpuinfo").read_text()
        model = next(line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line)
    except (OSError, StopIteration):
        model = platform.machine()
    return f"{model}, {os.cpu_count()} CPUs"


HEADING = "| Group | Case | Metric | ours | published | by | ratio | legal | wall s | CPU s | seed |"


def markdown(rows: list[Row]) -> str:
    """One table, then the means of each group's ratios, then the command of each row."""
    lines = [HEADING, "|" + "---|" * 11, *(_line(r) for r in rows), ""]
    for group in dict.fromkeys(r.group for r in rows):
        ratios = [r.ratio for r in rows if r.group == group and r.ratio > 0]
        if len(ratios) > 1:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            lines.append(
                f"{group}: geometric mean of {len(ratios)} ratios {mean:.4f}, worst {max(ratios):.4f}"
            )
    commands = dict.fromkeys(f"{r.group}/{r.case}: `{r.command}`" for r in rows)
    return "\n".join([*lines, "", *commands])


def _line(r: Row) -> str:
    if r.problem:
        return f"| {r.group} | {r.case} | {r.metric} | {r.problem} |" + " |" * 7
    legal = {None: "", True: "yes", False: "NO"}[r.legal]
    known = not math.isnan(r.published)
    cells = [
        *(r.group, r.case, f"{r.metric}, {r.unit}" if r.unit else r.metric, shown(r.ours)),
        *((shown(r.published), r.by, f"{r.ratio:.4f}") if known else ("", "", "")),
        *(legal, f"{r.seconds:.1f}", f"{r.cpu_seconds:.1f}", str(r.seed)),
    ]
    return "| " + " | ".join(cells) + " |"


def shown(value: float) -> str:
    """Six significant digits; whole numbers with separators."""
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.6g}"
