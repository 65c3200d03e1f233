"""Two threads over one, on the problems of bench/problems that are bound by arithmetic: wall time of the default schedules.

    python bench/threads.py [--only gemm] [--threads 2] [--pairs 11]

The kernels for one and for more threads alternate in one process. A core that anything else uses falsifies the figure, so this wants
a machine with nothing else to do: a row says how much of the wall time its threads really ran (`busy`: CPU time over wall time
and threads). PyTorch eager's own ratio stands beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from bandwidth import SETTINGS, kernel
from kerf.kernels.problem import load_problem
from kerf.kernels.targets.cpu import native

HERE = Path(__file__).resolve().parent
FAMILIES = (
    "gemm/square",
    "gemm/linear",
    "gemm/batched",
    "conv/conv2d_3x3",
    "conv/conv3d",
    "conv/conv1d",
    "attention",
    "recurrence",
)


def main() -> None:
    settings = {k: v for k, v in SETTINGS.items() if k != "OMP_NUM_THREADS"}
    if any(os.environ.get(k) != v for k, v in settings.items()):  # they are read when the process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **settings})
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", default=FAMILIES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "threads.json")
    args = parser.parse_args()
    rows = {}
    for path in sorted(HERE.glob("problems/*/*.py")):
        name = f"{path.parent.name}/{path.stem}"
        if any(o in name for o in args.only):
            rows[name] = row = one(path, args.threads, args.pairs)
            print(
                f"{name:<36} {row['one_ms']:8.2f} ms -> {row['many_ms']:8.2f} ms  {row['ratio']:.2f}x  "
                f"busy {row['busy']:.0%}  eager {row['eager_ratio']:.2f}x  over eager {row['over_eager']:.2f}x",
                flush=True,
            )
    found = {"command": "python bench/threads.py", "processor": native().name, "threads": args.threads}
    args.out.write_text(json.dumps({**found, "problems": rows}, indent=1))
    print(f"\nmedian {statistics.median(r['ratio'] for r in rows.values()):.2f}x")


def one(path: Path, threads: int, pairs: int) -> dict[str, float]:
    problem = load_problem(path)
    inputs = [t for t in problem.inputs() if isinstance(t, torch.Tensor)]
    module = problem.fresh_module()
    with torch.no_grad():
        result = module(*inputs)
    out = tuple(torch.empty_like(t) for t in (result if isinstance(result, tuple) else (result,)))
    calls: dict[str, Callable[[], object]] = {}
    for count in (1, threads):
        run = kernel(problem, count)
        calls[f"kernel {count}"] = lambda run=run: run(*inputs, out)
        calls[f"eager {count}"] = lambda: torch.no_grad()(module)(*inputs)
    times: dict[str, list[float]] = {name: [] for name in calls}
    busy: list[float] = []
    for i in range(pairs + 1):
        for name in list(calls)[:: 1 if i % 2 else -1]:
            torch.set_num_threads(int(name.split()[1]))
            wall, cpu = time.perf_counter(), time.process_time()
            calls[name]()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            times[name].append(wall)
            if name == f"kernel {threads}":
                busy.append(cpu / wall / threads)
    median = {k: statistics.median(v[1:]) for k, v in times.items()}
    return {
        "one_ms": median["kernel 1"] * 1e3,
        "many_ms": median[f"kernel {threads}"] * 1e3,
        "ratio": median["kernel 1"] / median[f"kernel {threads}"],
        "eager_ratio": median["eager 1"] / median[f"eager {threads}"],
        "over_eager": median[f"eager {threads}"] / median[f"kernel {threads}"],
        "busy": statistics.median(busy[1:]),
    }


if __name__ == "__main__":
    main()
