"""The generator and the referee on KernelBench's problems (https://github.com/ScalingIntelligence/KernelBench, MIT; not part of this repository).

    python bench/kernelbench.py FOLDER [--levels 1 2 3] [--only 1_23] [--evaluations 3] [--minutes 0.5] [--threads 1]
                                [--prepare | --fast] [--resume] [--limit 600] [--out bench/results/kernelbench.json]

FOLDER holds level1, level2 and level3. Each problem is shrunk until eager PyTorch takes some milliseconds on one core, and audited
again at those sizes; then it is searched like those of bench/kernels.py. Every problem has a process of its own, so that a crash or
one that takes longer than --limit costs one row; the file of results is written after each, and `--resume` goes on where it ended.

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
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "9000000000"}
BYTES, FLOPS = 24 << 20, 1.5e9  # what eager does in 5 to 50 ms on one core, more or less
TOO_LONG, TOO_SHORT = 0.060, 0.0015  # seconds
LEVELS = (1, 2, 3)
SLOWER, FASTER = 0.97, 1.2

Row = dict[str, Any]


def main() -> None:
    args = _arguments()
    if any(os.environ.get(k) != v for k, v in ALLOCATOR.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    warnings.simplefilter("ignore")  # what the problems' own use of torch warns about is theirs
    rows: dict[str, Row] = json.loads(args.out.read_text())["problems"] if args.out.exists() else {}
    work = _work(args)
    for name, path in _problems(args.folder, args.levels, args.only):
        known = rows.get(name, {})
        if _done(known, args):
            continue
        rows[name] = _one(path, known, work, args.limit)
        print(_line(name, rows[name]), flush=True)
        _save(args, rows)
    print("\n" + "\n".join(summary(rows)))


def _done(row: Row, args: argparse.Namespace) -> bool:
    if args.prepare:
        return "degenerate" in row
    return args.resume and row.get("status", "prepared") not in ("prepared", "timed_out")


def _work(args: argparse.Namespace) -> Callable[[Path, dict[str, Any]], Row]:
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


def _one(path: Path, known: Row, work: Callable[[Path, dict[str, Any]], Row], limit_s: float) -> Row:
    """Sizes and their audit, then the work, each in a forked process. What went wrong is a result too."""
    start = time.monotonic()
    if "degenerate" not in known:
        known = contained(lambda: _sized(path), limit_s)
    row = {k: known[k] for k in ("sizes", "degenerate", "status", "note") if k in known}
    if "degenerate" in row:
        row = {k: row[k] for k in ("sizes", "degenerate")}
        row |= contained(lambda: work(path, row["sizes"]), limit_s)
    return row | {"wall_s": round(time.monotonic() - start, 1)}


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


def _searching(args: argparse.Namespace) -> Callable[[Path, dict[str, Any]], Row]:
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


def _quick(args: argparse.Namespace) -> Callable[[Path, dict[str, Any]], Row]:
    import kernelbench_quick

    warm()
    return lambda path, sizes: kernelbench_quick.check(path, sizes, args.threads)


def warm() -> None:
    """Let the children inherit what torch.export imports at its first use (a second or two)."""
    import torch

    from kerf.kernels.graph import capture

    torch.set_num_threads(1)  # a pool of threads would not live on in them
    capture(torch.nn.ReLU(), [torch.ones(4)])


def contained(work: Callable[[], Row], limit_s: float) -> Row:
    """`work()` in a forked child; how it ended where it ended badly."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_report, args=(theirs, work))
    child.start()
    theirs.close()
    row: Row = {"status": "crashed", "note": "no answer"}
    try:
        if ours.poll(limit_s):
            row = ours.recv()
        else:
            row = {"status": "timed_out", "note": f"more than {limit_s:.0f} s"}
            child.kill()
    except EOFError:
        pass
    child.join()
    return row if row.get("status") != "crashed" else row | {"note": f"exit code {child.exitcode}"}


def _report(pipe: Any, work: Callable[[], Row]) -> None:
    try:
        row = work()
    except Exception as error:
        trace = traceback.format_exc().strip().splitlines()
        row = {"status": "error", "note": f"{type(error).__name__}: {error}"[:600], "trace": trace[-12:]}
    pipe.send(row)


# ---------------------------------------------------------------- tables


def best_baseline(row: Row) -> float | None:
    """Median speed-up over the fastest baseline."""
    known = [v["median"] for v in (row.get("speedup") or {}).values() if v]
    return min(known) if known else None


def _line(name: str, row: Row) -> str:
    ratio = best_baseline(row)
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
        at_par = [r for r in good if (best_baseline(r) or 0) >= SLOWER]
        better = [r for r in good if r.get("generated") and (best_baseline(r) or 0) >= FASTER]
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
