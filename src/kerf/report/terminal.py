"""What a terminal shows: tables, and the progress of a search. Plain lines where output is no terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

from kerf.core.records import Moment
from kerf.core.records import Progress as Standing
from kerf.report.facts import brief

EVERY_S = 5.0
BAR = 20


def table(rows: Sequence[Mapping[str, Any]], *, title: str = "", stream: IO[str] | None = None) -> str:
    """Rows of equal keys as aligned text (numbers right), for `stream`'s width and colours where that is a terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return "nothing to show"
    target = stream or sys.stdout
    shown = Table(
        title=Text(title) if title else None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False
    )
    for name in rows[0]:
        numeric = all(isinstance(r.get(name), int | float | None) for r in rows)
        shown.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(printable(brief(row.get(name)))) for name in rows[0]))
    console = Console(file=target, width=None if target.isatty() else 160, highlight=False)
    with console.capture() as captured:
        console.print(shown)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")


def printable(text: str) -> str:
    """Without control characters: what a candidate printed must not drive the reader's terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


class Progress:
    """Give it to the loop as `progress`. On a terminal one line that is rewritten; elsewhere a line for every new best and every
    EVERY_S seconds."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self._run = ""
        self._said_s = float("-inf")
        self._best = float("-inf")
        self._dirty = False
        self._told_s = float("-inf")

    def __call__(self, moment: Standing | Moment | str) -> None:
        """Where a search stands, a moment of one of its evaluations, or a line of something else that takes long."""
        if isinstance(moment, str | Moment):
            self._tell(Moment(moment, passing=False) if isinstance(moment, str) else moment)
            return
        if moment.run != self._run:
            self._run, self._said_s, self._best = moment.run, float("-inf"), float("-inf")
        score = moment.best.evaluation.score if moment.best else None
        better = score is not None and score > self._best
        self._best = score if score is not None and better else self._best
        if moment.stop is not None:
            self._finish(moment)
        elif self.live:
            self._write(f"\r\x1b[2K{line(moment, bar=True)}")
            self._dirty = True
        elif better or moment.confirming or moment.seconds - self._said_s >= EVERY_S:
            self._write(line(moment) + "\n")
            self._said_s = moment.seconds

    def _tell(self, moment: Moment) -> None:
        """Passing lines overwrite each other on a terminal; elsewhere one is written every EVERY_S seconds."""
        text, now = printable(moment.text), time.monotonic()
        if self.live:
            wide = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[2K{text[:wide]}" if moment.passing else f"\r\x1b[2K{text}\n")
            self._dirty = moment.passing
        elif not moment.passing or now - self._told_s >= EVERY_S:
            self._write(text + "\n")
            self._told_s = now

    def _finish(self, moment: Standing) -> None:
        if self.live and self._dirty:
            self._write(f"\r\x1b[2K{line(moment)}\n")
            self._dirty = False
        elif not self.live:
            self._write(line(moment) + "\n")

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


def watcher(*, to_stderr: bool = False) -> Progress:
    """Progress for a command: on standard error when standard output must stay clean."""
    return Progress(sys.stderr if to_stderr else sys.stdout)


def line(moment: Standing, *, bar: bool = False) -> str:
    """`best 2.31x by evolution | 12/64 evaluations | 0:35, 0:52 left`"""
    best = moment.best
    score = best.evaluation.score if best else None
    said = (
        f"best {best.evaluation.headline} by {best.candidate.proposer}"
        if best and score is not None
        else "nothing passed yet"
    )
    limit = moment.budget.evaluations
    done = (
        f"{moment.evaluations}/{limit} evaluations"
        if limit is not None
        else f"{moment.evaluations} evaluations"
    )
    known = f" + {moment.reused} known" if moment.reused else ""
    parts = [printable(said), done + known, *_spending(moment), clock(moment.seconds) + _left(moment)]
    if bar and (share := spent(moment)) is not None:
        full = round(BAR * min(1.0, share))
        parts.insert(0, "━" * full + "╌" * (BAR - full))
    return " | ".join(parts)


def _spending(moment: Standing) -> list[str]:
    """`14 turns, 52k tokens, $0.31`"""
    spent = moment.spending
    if spent is None:
        return []
    dollars = "" if spent.dollars is None else f", ${spent.dollars:.2f}"
    return [f"{spent.turns} turns, {spent.tokens / 1000:.0f}k tokens{dollars}"]


def _left(moment: Standing) -> str:
    if moment.stop is not None:
        return f", stopped: {moment.stop}"
    if moment.confirming:
        return ", measuring the best again"
    left = time_left(moment)
    return f", {clock(left)} left" if left is not None else ""


def spent(moment: Standing) -> float | None:
    """The share of the budget that is used up, by whichever limit is nearer."""
    shares = []
    if moment.budget.evaluations:
        shares.append(moment.evaluations / moment.budget.evaluations)
    if moment.budget.seconds:
        shares.append(moment.seconds / moment.budget.seconds)
    return max(shares, default=None)


def time_left(moment: Standing) -> float | None:
    """Seconds, at the pace so far; None before there is one and without a budget."""
    lefts = []
    if moment.budget.seconds is not None:
        lefts.append(max(0.0, moment.budget.seconds - moment.seconds))
    if moment.budget.evaluations is not None and moment.evaluations:
        lefts.append(
            moment.seconds / moment.evaluations * max(0, moment.budget.evaluations - moment.evaluations)
        )
    return min(lefts, default=None)


def clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
