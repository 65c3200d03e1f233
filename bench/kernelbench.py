"""The generator and the referee on KernelBench's problems (https://github.com/ScalingIntelligence/KernelBench, MIT; not part of this repository).

    python bench/kernelbench.py FOLDER [--levels 1 2 3] [--only 1_23] [--evaluations 3] [--minutes 0.5] [--threads 1]
                                [--prepare | --fast] [--resume] [--jobs 1] [--limit 600] [--out bench/results/kernelbench.json]

FOLDER holds level1, level2 and level3. Each problem is shrunk until eager PyTorch takes some milliseconds on one core, and audited
again at those sizes; then it is searched like those of bench/kernels.py. Every problem has a process of its own, so that a crash or
one that takes longer than --limit costs one row; the file of results is written after each, and `--resume` goes on where it ended.

With --jobs 2 the second core compiles and prepares while the first is timed; timed phases never overlap.

`--prepare` only finds and audits the sizes: a later run with the same --out takes them from there. `--fast` leaves the referee out: it only
builds the default candidate and compares its result (with the reference in float64) and its time (with eager).
Two problems (3_48, 3_49) import einops, which the extra `bench` installs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "9000000000"}
BYTES, FLOPS = 24 << 20, 1.5e9  # what eager does in 5 to 50 ms on one core, more or less
TOO_LONG, TOO_SHORT = 0.060, 0.0015  # seconds
LEVELS = (1, 2, 3)
SLOWER, FASTER = 0.97, 1.2

Row = dict[str, Any]
Work = Callable[[Path, dict[str, Any]], Row]


def main() -> None:
    args = _arguments()
    if any(os.environ.get(k) != v for k, v in ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    warnings.simplefilter("ignore")  # what the problems' own use of torch warns about is theirs
    rows: dict[str, Row] = json.loads(args.out.read_text())["problems"] if args.out.exists() else {}
    work = _work(args)
    found = _problems(args.folder, args.levels, args.only)
    todo = [(n, p) for n, p in found if not _done(rows.get(n, {}), args)]
    for count, (name, row) in enumerate(_rows(todo, rows, work, args), 1):
        rows[name] = row
        print(f"{count:>3}/{len(todo)} {_line(name, row)}", flush=True)
        _save(args, rows)
    print("\n" + "\n".join(summary(rows)))


def _done(row: Row, args: argparse.Namespace) -> bool:
    if args.prepare:
        return "degenerate" in row
    return args.resume and row.get("status", "prepared") not in ("prepared", "timed_out")


def _work(args: argparse.Namespace) -> Work:
    if args.prepare:
        return lambda path, sizes: {"status": "prepared"}
    return _quick(args) if args.fast else _searching(args)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--levels", type=int, nargs="*", default=list(LEVELS))
    parser.add_argument("--only", nargs="*", help="problems LEVEL_NUMBER, such as 1_23")
    parser.add_argument("--evaluations", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--proposer", default="portfolio")
    parser.add_argument("--archive", type=Path, default=None, help="archive folder (default: the user's)")
    parser.add_argument("--limit", type=float, default=600, help="seconds of wall time a problem may take")
    parser.add_argument("--jobs", type=int, default=1, help="problems under way at a time")
    parser.add_argument("--prepare", action="store_true", help="only find and audit the sizes")
    parser.add_argument("--fast", action="store_true", help="only the default candidate, without the referee")
    parser.add_argument("--resume", action="store_true", help="skip problems already in --out")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "kernelbench.json")
    return parser.parse_args()


def _problems(folder: Path, levels: list[int], only: list[str] | None) -> list[tuple[str, Path]]:
    found = []
    for level in levels:
        files = [p for p in (folder / f"level{level}").glob("*.py") if not p.stem.endswith("_hardened")]
        for path in sorted(files, key=lambda p: int(p.stem.split("_")[0])):
            key = f"{level}_{path.stem.split('_')[0]}"
            if not only or key in only:
                found.append((f"{level}_{path.stem}", path))
    return found


def _rows(
    todo: list[tuple[str, Path]], known: dict[str, Row], work: Work, args: argparse.Namespace
) -> Iterator[tuple[str, Row]]:
    """Every problem's row as it ends, --jobs at a time. Only preparing overlaps: the referee times one candidate on a machine."""
    waiting, running = todo[::-1], list[Job]()
    while waiting or running:
        while waiting and len(running) < args.jobs:
            name, path = waiting.pop()
            running.append(Job(name, partial(_one, path, known.get(name, {}), work), args.limit))
        wait([j.pipe for j in running], max(0.0, min(j.deadline for j in running) - time.monotonic()))
        for job in [j for j in running if j.ended()]:
            running.remove(job)
            yield job.name, job.row


def _one(path: Path, known: Row, work: Work) -> Iterator[Row]:
    """Sizes and their audit, if not known, and then what the work says."""
    found = known if "degenerate" in known else _sized(path)
    yield {k: found[k] for k in ("sizes", "degenerate")}
    yield work(path, found["sizes"])


class Job:
    """The rows of one problem, made in a forked child; how it ended where it ended badly."""

    def __init__(self, name: str, work: Callable[[], Iterator[Row]], limit_s: float) -> None:
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe(duplex=False)
        self.name, self.limit_s, self.start = name, limit_s, time.monotonic()
        self.deadline = self.start + limit_s
        self.row: Row = {"status": "crashed"}
        self.child = context.Process(target=_report, args=(theirs, work))
        self.child.start()
        theirs.close()

    def ended(self) -> bool:
        """Take in what it said; True when that was the last."""
        try:
            while self.pipe.poll():
                self.row |= self.pipe.recv()
        except EOFError:
            self._end(f"exit code {self._joined()}")
            return True
        if time.monotonic() < self.deadline:
            return False
        self.child.kill()
        self.row["status"] = "timed_out"
        self._joined()
        self._end(f"more than {self.limit_s:.0f} s")
        return True

    def _joined(self) -> int | None:
        self.child.join()
        return self.child.exitcode

    def _end(self, how: str) -> None:
        if self.row["status"] in ("crashed", "timed_out"):
            self.row.setdefault("note", how)
        self.row["wall_s"] = round(time.monotonic() - self.start, 1)
        self.pipe.close()


def _sized(path: Path) -> Row:
    import torch

    torch.set_num_threads(1)
    sizes = _shrunk(path)
    return {"sizes": sizes, "degenerate": _degenerate(path, sizes)}


# ---------------------------------------------------------------- sizes


def _shrunk(path: Path) -> dict[str, Any]:
    """Sizes at which eager takes between TOO_SHORT and TOO_LONG where there are such, dropout switched off."""
    from kerf.core.types import KerfError

    still, scale = _without_dropout(path), 1.0
    sizes = _fitting(path, scale, still)
    for _ in range(3):
        seconds = _eager_seconds(path, sizes)
        if TOO_SHORT <= seconds <= TOO_LONG or (seconds < TOO_SHORT and sizes == still):
            break
        scale *= 4 if seconds < TOO_SHORT else max(1 / 16, TOO_LONG / seconds / 1.5)
        try:
            sizes = _fitting(path, scale, still)
        except KerfError:
            break  # as small as it gets
    return sizes


def _without_dropout(path: Path) -> dict[str, Any]:
    """A problem whose answer is random has no other answer to compare with: its dropout probabilities become 0."""
    from kerf.kernels.problem_file import bound_names, read_file

    return {n: 0.0 for n in bound_names(read_file(path).tree()) if "drop" in n.lower()}


def _degenerate(path: Path, sizes: dict[str, Any]) -> list[str]:
    from kerf.kernels.audit import audit
    from kerf.kernels.problem import load_problem

    return sorted({f["kind"] for f in audit(load_problem(path, sizes, check=False)).degenerate})


def _fitting(path: Path, scale: float, fixed: dict[str, Any]) -> dict[str, Any]:
    """Room for the parameters too, which no size of the inputs makes smaller."""
    from kerf.core.types import KerfError
    from kerf.kernels.audit import shrink_sound

    for room in (1, 4, 16, 64):
        try:
            return {
                **fixed,
                **shrink_sound(path, int(BYTES * max(scale, 1) * room), FLOPS * scale * room, fixed),
            }
        except KerfError as error:
            reason = error
    raise reason


def _eager_seconds(path: Path, sizes: dict[str, Any]) -> float:
    import torch

    from kerf.kernels.problem import load_problem

    problem = load_problem(path, sizes, check=False)
    module, inputs, times = problem.fresh_module(), problem.inputs(), []
    with torch.no_grad():
        for _ in range(3):
            start = time.process_time()
            module(*inputs)
            times.append(time.process_time() - start)
    return sorted(times)[1]


# ---------------------------------------------------------------- the two ways of working


def _searching(args: argparse.Namespace) -> Work:
    from kerf.archive import Archive
    from kerf.core.types import Budget
    from kerf.kernels.search import Request, search

    warm()
    budget = Budget(args.evaluations, args.minutes * 60)

    def work(path: Path, sizes: dict[str, Any]) -> Row:
        request = Request(str(path), sizes, args.threads, args.proposer, 0)
        with Archive(args.archive) as archive:
            result = search(str(path), request, budget, archive=archive)
        return {k: v for k, v in result.items() if k not in ("report", "evidence")} | {
            "generated": any(p["by"] == "generated" for p in result["provenance"])
        }

    return work


def _quick(args: argparse.Namespace) -> Work:
    import kernelbench_quick

    warm()
    return lambda path, sizes: kernelbench_quick.check(path, sizes, args.threads)


def warm() -> None:
    """Let the children inherit what torch.export imports at its first use (a second or two)."""
    import torch

    from kerf.kernels.graph import capture

    torch.set_num_threads(1)  # a pool of threads would not live on in them
    capture(torch.nn.ReLU(), [torch.ones(4)])


def _report(pipe: Connection, work: Callable[[], Iterator[Row]]) -> None:
    try:
        for row in work():
            pipe.send(row)
    except Exception as error:
        trace = traceback.format_exc().strip().splitlines()
        note = f"{type(error).__name__}: {error}"[:600]
        pipe.send({"status": "error", "note": note, "trace": trace[-12:]})


# ---------------------------------------------------------------- tables


def _over_best(row: Row) -> float | None:
    from kerf.kernels.judge import over_best_baseline

    return over_best_baseline(row.get("speedup"))


def _line(name: str, row: Row) -> str:
    ratio = _over_best(row)
    head = f"{name[:52]:<52} {row['status']:<9}"
    if ratio is None:
        return f"{head} {row.get('note') or row.get('sizes')} {' '.join(row.get('degenerate', []))} {row['wall_s']} s"
    made = "generated" if row.get("generated") else "library"
    return f"{head} x{ratio:6.2f}  {row.get('time_ms', 0):8.2f} ms  {made}  {row.get('remark', '')} {row['wall_s']} s"


def summary(rows: dict[str, Row]) -> list[str]:
    """By level: how many loaded, were audited, passed at 0.97x or better, reached 1.2x with generated code."""
    lines = [
        f"{'':<8}{'problems':>9}{'loaded':>9}{'audited':>9}{'passed':>9}{f'>={SLOWER}x':>9}{f'>={FASTER}x generated':>18}"
    ]
    for label, prefixes in [*((f"level {i}", (f"{i}_",)) for i in LEVELS), ("all", ("1_", "2_", "3_"))]:
        mine = [r for n, r in rows.items() if n.startswith(prefixes)]
        good = [r for r in mine if r.get("status") == "passed"]
        at_par = [r for r in good if (_over_best(r) or 0) >= SLOWER]
        better = [r for r in good if r.get("generated") and (_over_best(r) or 0) >= FASTER]
        counts = [len(mine), sum("sizes" in r for r in mine), sum("degenerate" in r for r in mine)]
        lines.append(
            f"{label:<8}"
            + "".join(f"{c:>9}" for c in [*counts, len(good), len(at_par)])
            + f"{len(better):>18}"
        )
    return lines


def _save(args: argparse.Namespace, rows: dict[str, Row]) -> None:
    args.out.parent.mkdir(parents=True, exist_ok=True)
    head = {"command": "python bench/kernelbench.py", **{k: str(v) for k, v in vars(args).items()}}
    partial = args.out.with_suffix(".partial")
    partial.write_text(
        json.dumps({**head, "problems": rows, "summary": summary(rows)}, indent=1, default=str)
    )
    os.replace(partial, args.out)


if __name__ == "__main__":
    main()
