"""What one evaluation costs, all processes together: CPU seconds of building, checking and measuring one candidate for a small kernel.

    python bench/evaluation.py [--evaluations 8] [--confirm]

Counted: this process, its finished children (compilers), the zygote with the workers it has reaped, and the baselines' workers.
The problems are of at most 1 ms and 4 MB; every candidate is new (another constant in its C), so that nothing is cached.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from dataclasses import replace
from pathlib import Path

from kerf.core.types import Candidate
from kerf.kernels.build import builder
from kerf.kernels.problem import load_text
from kerf.kernels.referee import clock
from kerf.kernels.referee.evaluator import KernelEvaluator
from kerf.kernels.referee.process import zygote

HEAD = "import torch\nimport torch.nn as nn\n\n\nclass Model(nn.Module):\n"
PROBLEMS = {
    "softmax of 512 x 1024": HEAD
    + "    def forward(self, x):\n        return torch.softmax(x, -1)\n\n\ndef get_inputs():\n    return [torch.randn(512, 1024)]\n",
    "linear + ReLU, 128 x 256 x 256": HEAD
    + "    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(256, 256)\n\n"
    "    def forward(self, x):\n        return torch.relu(self.fc(x))\n\n\ndef get_inputs():\n    return [torch.randn(128, 256)]\n",
    "GELU chain of 256 x 1024": HEAD
    + "    def forward(self, x):\n        return torch.nn.functional.gelu(x, approximate='tanh') * 2 + x\n\n\n"
    "def get_inputs():\n    return [torch.randn(256, 1024)]\n",
}
TAIL = "\n\ndef get_init_inputs():\n    return []\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--evaluations", type=int, default=8)
    parser.add_argument("--confirm", action="store_true", help="confirmations instead of evaluations")
    args = parser.parse_args()
    print(
        "| one evaluation of | kernel | CPU-s, all processes | of which gcc | wall |\n|---|---|---|---|---|"
    )
    for name, text in PROBLEMS.items():
        print(row(name, text, args.evaluations, args.confirm), flush=True)


def row(name: str, text: str, count: int, confirm: bool) -> str:
    problem = load_text(text + TAIL, name=name)
    evaluator = KernelEvaluator(problem, baselines=("eager", "onednn"))
    made = builder(problem, 1)
    first = Candidate(made.files(made.space.default()), proposer="heuristic")
    try:
        measured = [
            cost(evaluator, numbered(first, f"{os.getpid()} {i}"), confirm) for i in range(count + 1)
        ][1:]
    finally:
        evaluator.close()
    cpu, gcc, wall, kernel = (statistics.median(m[i] for m in measured) for i in range(4))
    return f"| {name} | {kernel * 1e3:.2f} ms | {cpu:.2f} | {gcc:.2f} | {wall:.2f} s |"


def numbered(candidate: Candidate, number: str) -> Candidate:
    """The same candidate with C that no compiler cache holds."""
    files = {n: t + f"\n/* {number} */\n" if n.endswith(".c") else t for n, t in candidate.files.items()}
    return replace(candidate, files=files)


def cost(
    evaluator: KernelEvaluator, candidate: Candidate, confirm: bool
) -> tuple[float, float, float, float]:
    """CPU-s of everybody, of the compiler, wall seconds, and the kernel's own time."""
    before, since = spent(evaluator), time.monotonic()
    compilers = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = evaluator.confirm(candidate) if confirm else evaluator.evaluate(candidate)
    wall, after = time.monotonic() - since, resource.getrusage(resource.RUSAGE_CHILDREN)
    if found.score is None:
        raise SystemExit(f"{found.status}: {found.reason}")
    gcc = after.ru_utime + after.ru_stime - compilers.ru_utime - compilers.ru_stime
    return spent(evaluator) - before, gcc, wall, found.metrics["time_s"].value


def spent(evaluator: KernelEvaluator) -> float:
    """CPU seconds so far: own, children waited for, the zygote with its children, the baselines' workers."""
    used = sum(
        resource.getrusage(who)[i] for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN) for i in (0, 1)
    )
    process = zygote(1).process
    warm = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split() if process else ["0"] * 15
    used += sum(int(x) for x in warm[11:15]) / os.sysconf("SC_CLK_TCK")
    workers = evaluator._bench.workers.values() if evaluator._bench else ()
    return used + sum(clock.cpu_time(w.pid) for w in workers)


if __name__ == "__main__":
    main()
