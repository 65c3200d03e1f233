"""What a model is told of a problem, the machine and verdicts, as text. Numbers come from measurements only."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kerf.core.types import Candidate, Evaluation, KerfError, Status
from kerf.kernels.problem import KernelProblem
from kerf.kernels.render import interval, share
from kerf.kernels.render import roofline as roofline_text
from kerf.kernels.targets.cpu import Chip
from kerf.proposers.agent.fence import fenced, shortened

MOST_SOURCE = 24_000
ADVICE = {
    Status.WRONG: "The result is outside the tolerance. Look at the order of operations, edges of tiles, and values such as infinities.",
    Status.REJECTED: "The referee does not accept how this candidate came to its time or result. Only real work on every call counts.",
    Status.CRASHED: "Look for accesses outside the arrays, misaligned vector loads and stack arrays that are too large.",
    Status.BUILD_FAILED: "It compiled alone, but not as the referee builds it.",
    Status.TIMED_OUT: "It ran far past the time of the reference.",
}


def reference(problem: KernelProblem) -> str:
    return fenced(problem.describe(), "python")


def chip_text(chip: Chip, threads: int) -> str:
    """The processor, its vectors and caches, and the measured roofline."""
    vectors = sorted(f for f in chip.features if re.match(r"avx|fma|amx|f16c|bf16|asimd|sve", f))
    lines = [
        f"{chip.name} ({chip.machine}), {threads} thread(s) are used",
        f"vectors: {chip.vector_bits} bits, {chip.lanes} float32 lanes, {chip.registers} registers; {' '.join(vectors)}",
        f"caches: L1 {chip.l1_bytes >> 10} KiB, L2 {chip.l2_bytes >> 10} KiB a core; L3 {chip.l3_bytes >> 20} MiB",
    ]
    try:
        from kerf.kernels.roofline import roofline

        lines += ["", roofline_text(roofline(threads).as_json())]
    except KerfError as error:
        lines.append(f"no roofline: {error}")
    return "\n".join(lines)


def bound_text(problem: KernelProblem, threads: int) -> str:
    """What one call must do at least."""
    from kerf.kernels.roofline import roofline

    flops, moved = problem.flops_bytes()
    head = (
        f"One call: {flops:.3g} floating-point operations, {moved:.3g} bytes of inputs, weights and outputs."
    )
    try:
        roof = roofline(threads)
    except KerfError:
        return head
    seconds = roof.bound(flops, moved, products=problem.products)
    return f"{head} No kernel takes less than {seconds * 1e6:.2f} us: the bound is {roof.limit(flops, moved, products=problem.products)}."


def verdict(name: str, evaluation: Evaluation) -> str:
    """What the referee measured, and for a failure what it says and what to look at."""
    head = f"candidate {name}: {evaluation.status}"
    if evaluation.score is None:
        reason = fenced(shortened(evaluation.reason or "no reason given", 4_000))
        return f"{head}\n{reason}\n{ADVICE.get(evaluation.status, '')}".rstrip()
    lines = [
        f"{head}, score {evaluation.score:.4f} (the lower end of the interval of the speed-up over the fastest baseline)"
    ]
    for name, metric in evaluation.metrics.items():
        if name.startswith("speedup."):
            shown = {"median": metric.value, "low": metric.low, "high": metric.high}
            lines.append(f"over {name.removeprefix('speedup.')}: {interval(shown)}")  # type: ignore[arg-type]
    if "time_s" in evaluation.metrics:
        lines.append(f"time: {evaluation.metrics['time_s'].value * 1e6:.2f} us a call")
    lines.append(f"share of the roofline's bound: {share(evaluation.detail.get('roofline'))}")
    return "\n".join(lines)


def taken(evaluation: Evaluation) -> str:
    """The time of a call, for a candidate's line."""
    found = evaluation.metrics.get("time_s")
    return f", {found.value * 1e6:.2f} us" if found else ""


def sources(candidate: Candidate, names: Sequence[str]) -> str:
    """Whole files, the middle of very long ones left out."""
    kinds = {".c": "c", ".h": "c", ".py": "python", ".json": "json"}
    parts = []
    for name in names:
        kind = next((k for ending, k in kinds.items() if name.endswith(ending)), "")
        parts.append(f"`{name}`\n{fenced(shortened(candidate.files[name], MOST_SOURCE), kind)}")
    return "\n\n".join(parts)
