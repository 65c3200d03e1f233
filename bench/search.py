"""How fast the proposers find the good schedule: best of n evaluations over the best known, on shapes that no proposer has seen.

    python bench/search.py [--train 6] [--held-out 3] [--log 16] [--evaluations 16]

Matrix products of random shapes. The training shapes are searched by random sampling and evolution, which fills an archive; each proposer then
starts on each held-out shape from a copy of that archive. "Best known" is the best score of any evaluation of that shape by
anyone, a longer evolution included. Candidates are timed in this process, alternating with the default schedule on one thread, and each
schedule once for all proposers: their differences are then not noise. The referee is not what is measured here.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch

from kerf import loop
from kerf.archive import Archive
from kerf.core.types import Budget, Candidate, Evaluation, Status
from kerf.kernels.build import Builder, builder
from kerf.kernels.problem import KernelProblem, load_text
from kerf.kernels.referee.build import build
from kerf.kernels.referee.candidate import package
from kerf.proposers import make

PAIRS, SAMPLE_S = 9, 4e-3
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
    parser.add_argument("--train", type=int, default=6, help="training shapes")
    parser.add_argument("--held-out", type=int, default=3)
    parser.add_argument("--log", type=int, default=16, help="evaluations a training shape")
    parser.add_argument("--evaluations", type=int, default=16, help="budget of each proposer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "search.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    shapes = sizes(args.train + args.held_out, args.seed)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        log = Path(folder) / "log"
        for i, shape in enumerate(shapes[: args.train]):
            Bench(shape, Path(folder)).scores(("random", "evolution")[i % 2], args.log, log, seed=i)
            print(f"trained on {shape}", flush=True)
        rows = [held_out(shape, args.evaluations, log, Path(folder)) for shape in shapes[args.train :]]
    report(rows, args)


def sizes(count: int, seed: int) -> list[tuple[int, int, int]]:
    """Log-uniform shapes of 20 to 400 MFLOP, a third of them skewed."""
    rng = random.Random(seed)
    found: list[tuple[int, int, int]] = []
    while len(found) < count:
        m, n, k = (round(2 ** rng.uniform(4, 11)) for _ in range(3))
        if 2e7 <= 2 * m * n * k <= 4e8:
            found.append((m, n, k))
    return found


def problem(shape: tuple[int, int, int]) -> KernelProblem:
    m, n, k = shape
    return load_text(TEXT.format(m=m, n=n, k=k), name=f"matmul_{m}x{n}x{k}")


class Bench:
    """Times candidates for one shape in this process; implements core.types.Evaluator. Keeps what it measured."""

    def __init__(self, shape: tuple[int, int, int], folder: Path) -> None:
        self.problem, self.folder = problem(shape), folder
        self.build: Builder = builder(self.problem, 1)
        self.args = self.problem.inputs()
        self.expected = self.problem.module(*self.args)
        self.known: dict[str, Evaluation] = {}
        space = self.build.space
        self.anchor = self._loaded(space.candidate(space.default(), parent=None, proposer="heuristic"))

    @property
    def key(self) -> str:
        return f"in process/{self.problem.key}"

    def evaluate(self, candidate: Candidate) -> Evaluation:
        if candidate.id not in self.known:
            self.known[candidate.id] = self._measured(candidate)
        return self.known[candidate.id]

    confirm = evaluate

    def close(self) -> None:
        self.known.clear()

    def scores(self, proposer: str, evaluations: int, folder: Path, seed: int = 0) -> list[float]:
        """Scores in the order they were asked for."""
        with ExitStack() as stack:
            archive = stack.enter_context(Archive(folder))
            made = make(proposer, self.build.space, archive.memory(None), seed)
            outcome = loop.run(self.problem, made, self, archive, Budget(evaluations, None), seed=seed)
            return [t.evaluation.score or 0.0 for t in archive.trials(outcome.run)]

    def _loaded(self, candidate: Candidate) -> Any:
        """A call of the candidate's native interface."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))  # the same candidate may be loaded already
        made = build(package(candidate.files), folder, timeout_s=60, trust=True)
        if made.problem:
            raise RuntimeError(made.problem)
        spec = spec_from_file_location(f"candidate_{candidate.id}", folder / "kernel.py")
        assert spec and spec.loader
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        model, out = module.ModelNew(), torch.empty_like(self.expected)
        return lambda: model.run(*self.args, (out,)) or out

    def _measured(self, candidate: Candidate) -> Evaluation:
        call = self._loaded(candidate)
        if not torch.allclose(call(), self.expected, rtol=1e-3, atol=1e-2):
            return Evaluation(Status.WRONG, "differs from the library's product")
        calls = max(1, math.ceil(SAMPLE_S / max(sample(self.anchor, 1), 1e-6)))
        taken: dict[Any, list[float]] = {self.anchor: [], call: []}
        for k in range(PAIRS):
            for which in list(taken)[:: 1 if k % 2 else -1]:
                taken[which].append(sample(which, calls))
        anchor, mine = (statistics.median(t) for t in taken.values())
        return Evaluation(Status.PASSED, score=anchor / mine)


def sample(call: Any, calls: int) -> float:
    """CPU seconds of so many calls."""
    start = time.process_time()
    for _ in range(calls):
        call()
    return time.process_time() - start


def held_out(shape: tuple[int, int, int], evaluations: int, log: Path, folder: Path) -> dict[str, object]:
    found: dict[str, list[float]] = {}
    bench = Bench(shape, folder)
    for proposer in PROPOSERS:
        mine = folder / f"{proposer}"
        shutil.rmtree(mine, ignore_errors=True)
        shutil.copytree(log, mine)
        found[proposer] = bench.scores(proposer, evaluations, mine)
    long = bench.scores("evolution", 2 * evaluations, folder / "long", seed=7)
    known = max(s for run in (*found.values(), long) for s in run)
    row = {
        "shape": shape,
        "best_known": known,
        **{p: max(s, default=0.0) / known for p, s in found.items()},
        "raw": found,
    }
    print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items() if k != "raw"}, flush=True)
    return row


def report(rows: list[dict[str, object]], args: argparse.Namespace) -> None:
    table = {p: statistics.geometric_mean(max(float(str(r[p])), 1e-3) for r in rows) for p in PROPOSERS}
    print(f"\nbest of {args.evaluations} over best known, geometric mean of {len(rows)} held-out shapes")
    for proposer, value in table.items():
        print(f"  {proposer:<12} {value:.2f}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    asked = {k: v for k, v in vars(args).items() if k != "out"}
    args.out.write_text(
        json.dumps(
            {"command": "python bench/search.py", "asked": asked, "table": table, "shapes": rows}, indent=1
        )
    )


if __name__ == "__main__":
    main()
