"""The kernel benchmark: every problem of bench/problems, optimized and measured beside its baselines in one run.

    python bench/kernels.py [--only gemm] [--default] [--evaluations 12] [--minutes 1] [--threads 1] [--out bench/results/kernels.json]

Each problem is searched, then its winner is measured again in fresh workers, alternating with PyTorch eager, torch.compile and oneDNN
(allocator settings right for all). Prints a table with intervals, writes everything as JSON, and resumes where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from kerf.archive import Archive
from kerf.core.types import Budget, KerfError
from kerf.kernels import judge
from kerf.kernels.judge import over_best_baseline
from kerf.kernels.problem import load_problem
from kerf.kernels.render import interval
from kerf.kernels.search import BASELINES, Request, Search, provenance, roofline_of, search
from kerf.kernels.targets.cpu import native
from kerf.toolchain.compilers import find_compiler

HERE = Path(__file__).resolve().parent
KEPT = (
    "status",
    "stopped",
    "speedup",
    "time_ms",
    "roofline",
    "provenance",
    "evaluations",
    "seconds",
    "wall_s",
    "confirmed",
    "note",
)


def main() -> None:
    args = _arguments()
    rows: dict[str, dict[str, Any]] = (
        json.loads(args.out.read_text())["problems"] if args.out.exists() and args.resume else {}
    )
    with Archive(args.archive) as archive:
        for path in sorted(HERE.glob("problems/*/*.py")):
            name = f"{path.parent.name}/{path.stem}"
            if (args.only and not any(o in name for o in args.only)) or name in rows:
                continue
            rows[name] = one(path, args, archive)
            print(line(name, rows[name]), flush=True)
            save(args.out, rows, args)
    print("\n" + summary(rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", help="problems whose name contains one of these")
    parser.add_argument("--evaluations", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--default", action="store_true", help="no search: the generators' default schedules")
    parser.add_argument("--proposer", default="portfolio")
    parser.add_argument("--archive", type=Path, default=None, help="archive folder (default: the user's)")
    parser.add_argument("--resume", action="store_true", help="skip problems already in --out")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "kernels.json")
    return parser.parse_args()


def one(path: Path, args: argparse.Namespace, archive: Archive) -> dict[str, Any]:
    start = time.monotonic()
    request = Request(str(path), {}, args.threads, args.proposer, 0)
    try:
        if args.default:
            return default_schedule(path, request, archive) | {"wall_s": round(time.monotonic() - start, 1)}
        result = search(str(path), request, Budget(args.evaluations, args.minutes * 60), archive=archive)
    except KerfError as error:
        return {"status": "error", "note": str(error), "wall_s": time.monotonic() - start}
    return result | {"wall_s": round(time.monotonic() - start, 1)}


def default_schedule(path: Path, request: Request, archive: Archive) -> dict[str, Any]:
    """The generators' own best guess, measured as a winner would be, without a search."""
    with ExitStack() as stack:
        found = Search.open(request, load_problem(path), archive, stack)
        if found.build is None:
            return {"status": "error", "note": found.why_not}
        candidate = found.build.space.candidate(
            found.build.space.default(), parent=None, proposer="heuristic"
        )
        evaluation = found.evaluator.confirm(candidate)
    row = {
        "status": str(evaluation.status),
        "note": evaluation.reason,
        "evaluations": 0,
        "provenance": provenance(candidate),
    }
    if evaluation.score is None:
        return row
    return row | {
        "speedup": judge.speedups(evaluation, BASELINES),
        "time_ms": evaluation.metrics["time_s"].value * 1e3,
        "roofline": roofline_of(evaluation),
    }


def line(name: str, row: dict[str, Any]) -> str:
    if over_best_baseline(row.get("speedup")) is None:
        return f"{name:<42} {row['status']}: {row.get('note', '')[:100]}"
    cells = [f"{interval(row['speedup'].get(b)):>22}" for b in ("eager", "compile", "onednn")]
    roof = row.get("roofline") or {}
    share = f"{roof['share']:>5.0%} {roof['bound']}" if roof.get("share") is not None else "    -"
    made = "generated" if all(p["by"] == "generated" for p in row["provenance"]) else "library"
    return f"{name:<42} {row['time_ms']:>8.2f} ms {' '.join(cells)}  {share}  {made}"


def geomean(values: list[float]) -> float:
    return math.exp(statistics.fmean(math.log(v) for v in values)) if values else float("nan")


def summary(rows: dict[str, dict[str, Any]]) -> str:
    good = {n: r for n, r in rows.items() if over_best_baseline(r.get("speedup")) is not None}
    lines = [f"{len(good)} of {len(rows)} problems measured"]
    for baseline in ("eager", "compile", "onednn"):
        values = [r["speedup"][baseline]["median"] for r in good.values() if r["speedup"].get(baseline)]
        lines.append(f"geometric mean over {baseline:<8} {geomean(values):.2f}x  ({len(values)} problems)")
    best = {n: over_best_baseline(r["speedup"]) or 0.0 for n, r in good.items()}
    lines.append(f"geometric mean over the best baseline of each problem {geomean(list(best.values())):.2f}x")
    for family in sorted({n.partition("/")[0] for n in best}):
        values = [v for n, v in best.items() if n.startswith(family + "/")]
        lines.append(
            f"  {family:<12} {geomean(values):.2f}x  slowest {min(values):.2f}x  ({len(values)} problems)"
        )
    if best:
        slowest = min(best, key=lambda n: best[n])
        lines.append(f"slowest against its best baseline: {slowest} {best[slowest]:.3f}x")
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    chip, compiler = native(), find_compiler()
    return {
        "chip": chip.name,
        "vector_bits": chip.vector_bits,
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "compiler": compiler.version.splitlines()[0],
    }


def save(out: Path, rows: dict[str, dict[str, Any]], args: argparse.Namespace) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    head = {
        "command": "python bench/kernels.py" + (" --default" if args.default else ""),
        "evaluations": 0 if args.default else args.evaluations,
        "minutes": 0 if args.default else args.minutes,
        "threads": args.threads,
        "machine": machine(),
    }
    slim = {n: {k: r[k] for k in KEPT if k in r} for n, r in rows.items()}
    partial = out.with_suffix(".partial")
    partial.write_text(
        json.dumps({**head, "problems": slim, "summary": summary(rows).splitlines()}, indent=1, default=str)
    )
    os.replace(partial, out)


if __name__ == "__main__":
    main()
