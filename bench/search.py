"""How fast the proposers find the good schedule: best of n evaluations over the best known, on shapes that no proposer has seen.

    python bench/search.py [--train 12] [--held-out 4] [--log 24] [--evaluations 16]

Matrix products of random shapes. The training shapes are searched by random sampling and evolution, which fills an archive; each proposer then
starts on each held-out shape from a copy of that archive. "Best known" is the best score of any evaluation of that shape by
anyone, a long evolution from the best included. Winners are measured again before they count.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from kerf.archive import Archive
from kerf.core.types import Budget
from kerf.kernels.problem import KernelProblem, load_text
from kerf.kernels.search import Request, Search

PROPOSERS = ("heuristic", "random", "evolution", "memory", "cost_model", "portfolio")
TEXT = """
import torch
import torch.nn as nn

m = {m}
n = {n}
k = {k}


class Model(nn.Module):
    def forward(self, a, b):
        return a @ b


def get_inputs():
    return [torch.randn(m, k), torch.randn(k, n)]


def get_init_inputs():
    return []
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=int, default=12, help="training shapes")
    parser.add_argument("--held-out", type=int, default=4)
    parser.add_argument("--log", type=int, default=24, help="evaluations a training shape")
    parser.add_argument("--evaluations", type=int, default=16, help="budget of each proposer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "search.json")
    args = parser.parse_args()
    shapes = sizes(args.train + args.held_out, args.seed)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        for i, shape in enumerate(shapes[: args.train]):
            scores(shape, ("random", "evolution")[i % 2], args.log, log, seed=i)
            print(f"trained on {shape}", flush=True)
        rows = [held_out(shape, args.evaluations, log, Path(folder)) for shape in shapes[args.train :]]
    report(rows, args.out, args.evaluations)


def sizes(count: int, seed: int) -> list[tuple[int, int, int]]:
    """Log-uniform shapes of 20 to 400 MFLOP, a third of them skewed."""
    rng, found = random.Random(seed), []
    while len(found) < count:
        m, n, k = (round(2 ** rng.uniform(4, 11)) for _ in range(3))
        if 2e7 <= 2 * m * n * k <= 4e8:
            found.append((m, n, k))
    return found


def problem(shape: tuple[int, int, int]) -> KernelProblem:
    m, n, k = shape
    return load_text(TEXT.format(m=m, n=n, k=k), name=f"matmul_{m}x{n}x{k}")


def scores(
    shape: tuple[int, int, int], proposer: str, evaluations: int, folder: Path, seed: int = 0
) -> list[float]:
    """Scores in the order they were measured, the library's own candidate left out."""
    request = Request(None, {}, 1, proposer, seed, baselines=("eager",))
    with ExitStack() as stack:
        archive = stack.enter_context(Archive(folder))
        found = Search.open(request, problem(shape), archive, stack)
        outcome = found.run(Budget(evaluations + 1, None), lambda _: None)
        trials = archive.trials(outcome.run)
        return [t.evaluation.score or 0.0 for t in trials if t.candidate.proposer != "library"]


def held_out(shape: tuple[int, int, int], evaluations: int, log: Path, folder: Path) -> dict[str, object]:
    found: dict[str, list[float]] = {}
    for proposer in PROPOSERS:
        mine = folder / f"{proposer}"
        shutil.rmtree(mine, ignore_errors=True)
        shutil.copytree(log, mine)
        found[proposer] = scores(shape, proposer, evaluations, mine)
    long = scores(shape, "evolution", 3 * evaluations, folder / "portfolio", seed=7)
    known = max(s for run in (*found.values(), long) for s in run)
    row = {
        "shape": shape,
        "best_known": known,
        **{p: max(s, default=0.0) / known for p, s in found.items()},
        "raw": found,
    }
    print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items() if k != "raw"}, flush=True)
    return row


def report(rows: list[dict[str, object]], out: Path, evaluations: int) -> None:
    table = {p: math.exp(sum(math.log(max(float(r[p]), 1e-3)) for r in rows) / len(rows)) for p in PROPOSERS}  # type: ignore[arg-type]
    print(f"\nbest of {evaluations} over best known, geometric mean of {len(rows)} held-out shapes")
    for proposer, value in table.items():
        print(f"  {proposer:<12} {value:.2f}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        json.dumps({"command": "python bench/search.py", "table": table, "shapes": rows}, indent=1)
    )


if __name__ == "__main__":
    main()
