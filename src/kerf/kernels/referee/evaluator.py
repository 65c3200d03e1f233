"""The kernel evaluator: a verdict and a measurement of one candidate for one problem, which the candidate cannot influence."""

from __future__ import annotations

import hashlib
import platform
import random
import secrets
import time
from collections.abc import Sequence
from typing import Any

import torch

from kerf.core.types import Candidate, Evaluation, Metric, Status, content_hash
from kerf.kernels.problem import KernelProblem
from kerf.kernels.referee.candidate import Malformed, package
from kerf.kernels.referee.case import Case
from kerf.kernels.referee.floor import Floor, floor_of
from kerf.kernels.referee.rounds import Bench
from kerf.kernels.referee.stop import Stop
from kerf.kernels.referee.tolerance import SOURCE
from kerf.kernels.referee.trial import Trial
from kerf.kernels.targets.cpu import native
from kerf.kernels.tensors import nbytes
from kerf.sandbox import isolation

VERSION = 4
"""Of verdicts and figures: part of the key under which they are kept. 2: inputs whose sums have few terms, on which arithmetic of fewer bits than float32's
is found out; and two baselines are dispatched more lightly than when 1 was given, so that figures over them do not compare. 3: a module is
no longer charged for a copy of its results into another order of memory than the reference's. 4: convolutions by tiles of four outputs, whose
transforms mix values further apart than 3 let count, are no longer called wrong by chance."""
RAGGED = 2  # sets of odd sizes that a candidate for any shape must also be right at


class KernelEvaluator:
    """Implements core.types.Evaluator.

    `threads`: of candidate and baselines; one is measured in CPU time, several in wall time. `baselines`: of eager, compile, onednn;
    eager is always measured. `pairs`: timed pairs of an evaluation (at least 15). Raises KerfError where the machine cannot
    isolate a candidate, unless `trust`. `claims`: check what manifests claim in every evaluation, not only in `confirm`."""

    def __init__(self, problem: KernelProblem, *, threads: int = 1, baselines: Sequence[str] = ("eager",), trust: bool = False,
                 pairs: int = 15, compile_limit_s: float = 60.0, time_limit_s: float = 20.0, claims: bool = False) -> None:  # fmt: skip
        if not trust:
            isolation().require()
        self.problem, self.threads, self.trust, self.claims = problem, threads, trust, claims
        self.baselines = tuple(dict.fromkeys(("eager", *baselines)))
        self.pairs, self.compile_limit_s, self.time_limit_s = max(15, pairs), compile_limit_s, time_limit_s
        self._bench: Bench | None = None
        self._floor: Floor | None = None
        self._ragged: tuple[Case, ...] | None = None

    @property
    def key(self) -> str:
        chip = native().fingerprint
        return content_hash(
            [self.problem.key, chip, self.threads, self.baselines, torch.__version__, VERSION]
        )

    def evaluate(self, candidate: Candidate) -> Evaluation:
        """Build, check on every class of values, time against the fastest baseline. Values come from a secret drawn with the evaluator,
        mixed anew for every candidate; the secret is not revealed while the evaluator lives."""
        return self._judge(candidate, self._opened(), precise=False)

    def confirm(self, candidate: Candidate) -> Evaluation:
        """The same in several fresh processes, on values from a seed drawn now and revealed in the evidence, interleaved with every baseline."""
        bench = self._open(secrets.randbits(60))
        try:
            return self._judge(candidate, bench, precise=True)
        finally:
            _closed(bench)

    def open(self) -> None:
        """Start the workers and calibrate the baselines, which the first evaluation would do otherwise."""
        self._opened()

    def close(self) -> None:
        if self._bench is not None:
            _closed(self._bench)
            self._bench = None
        for case in self._ragged or ():
            case.close()
        self._ragged = None

    # ------------------------------------------------------------ steps

    def _opened(self) -> Bench:
        if self._bench is None:
            self._bench = self._open(secrets.randbits(60))
        self._bench.revive()
        return self._bench

    def _open(self, seed: int) -> Bench:
        case = Case(self.problem, seed)
        bench = Bench(
            case,
            self.threads,
            self.baselines,
            self.time_limit_s,
            random.Random(secrets.randbits(64)),
            self.trust,
        )
        bench.open()
        if self._floor is None:
            self._floor = floor_of(self.problem, nbytes(case.like), self.threads)
        return bench

    def _judge(self, candidate: Candidate, bench: Bench, precise: bool) -> Evaluation:
        started = time.monotonic()
        ragged = self._ragged_cases() if _any_shape(candidate) else ()
        trial = Trial(bench.case, bench, dict(candidate.files), self.threads, self.pairs, precise, self.trust,
                      self.compile_limit_s, self.time_limit_s, random.Random(secrets.randbits(64)), ragged,
                      self._floor.floor_s if self._floor else 0.0, self.claims)  # fmt: skip
        try:
            trial.run()
            status, reason = self._believable(trial)
        except Stop as stop:
            status, reason = stop.status, stop.reason
        passed = status is Status.PASSED
        metrics = self._metrics(trial) if passed else {}
        score = min(m.low or 0.0 for n, m in metrics.items() if n.startswith("speedup.")) if passed else None
        return Evaluation(
            status,
            reason,
            score,
            metrics,
            self._detail(trial, bench, precise),
            self.environment(),
            time.monotonic() - started,
        )

    def _ragged_cases(self) -> tuple[Case, ...]:
        """The problem at odd sizes, where it has any; made when first needed."""
        if self._ragged is None:
            found = (self.problem.ragged(k) for k in range(RAGGED))
            self._ragged = tuple(
                Case(p, secrets.randbits(60), sizes=_sizes(p)) for p in found if p is not None
            )
        return self._ragged

    def _believable(self, trial: Trial) -> tuple[Status, str]:
        floor = self._floor.floor_s if self._floor else 0.0
        seconds = trial.time().value
        if seconds >= floor:
            return Status.PASSED, ""
        return (
            Status.REJECTED,
            f"its time of {seconds * 1e6:.1f} us is below the physical floor of {floor * 1e6:.1f} us for the bytes it must write, measured twice",
        )

    def _metrics(self, trial: Trial) -> dict[str, Metric]:
        taken = trial.time()
        metrics = {
            "time_s": Metric(taken.value, "s", taken.low, taken.high),
            "prepare_s": Metric(trial.prepare_s, "s"),
        }
        for name, found in trial.speedups().items():
            metrics[f"speedup.{name}"] = Metric(found.value, "x", found.low, found.high, better="higher")
        return metrics

    def _detail(self, trial: Trial, bench: Bench, precise: bool) -> dict[str, Any]:
        detail = dict(trial.detail)
        if "error" in detail:
            detail["error"] = {
                **detail["error"],
                "source": SOURCE.format(multiple=detail["error"]["multiple"]),
            }
        detail["seed"] = bench.case.seed if precise else None
        detail["seed_sha256"] = hashlib.sha256(str(bench.case.seed).encode()).hexdigest()
        detail["clock"] = "cpu" if self.threads == 1 else "wall"
        detail["calls_per_sample"], detail["best_baseline"] = bench.calls, bench.best
        detail["overhead_s"] = dict(bench.overheads)
        detail["baselines_left_out"] = dict(bench.left_out)
        detail["classes"] = list(bench.case.names())
        if trial.samples.process:
            detail["samples_s"], detail["process"] = trial.samples.seconds, trial.samples.process
            detail["contended"] = trial.samples.contended
            detail["roofline"] = self._roofline(trial.time().value)
        return detail

    def _roofline(self, seconds: float) -> dict[str, Any] | None:
        if self._floor is None:
            return None
        return {
            "share": self._floor.share(seconds),
            "bound": self._floor.bound,
            "bound_s": self._floor.bound_s,
            "floor_s": self._floor.floor_s,
            "flops": self._floor.flops,
            "bytes": self._floor.bytes,
            "peak_gflops": self._floor.peak_gflops,
            "bandwidth_gbs": self._floor.bandwidth_gbs,
            "time_s": seconds,
        }

    def environment(self) -> dict[str, Any]:
        chip, here = native(), isolation()
        return {"chip": chip.name, "vector_bits": chip.vector_bits, "cores": chip.cores, "threads": self.threads, "torch": torch.__version__,
                "python": platform.python_version(), "system": here.system, "isolation": here.as_json(), "trusted": self.trust}  # fmt: skip


def _closed(bench: Bench) -> None:
    bench.close()
    bench.case.close()


def _any_shape(candidate: Candidate) -> bool:
    try:
        return package(candidate.files).any_shape
    except Malformed:
        return False


def _sizes(problem: KernelProblem) -> str:
    return " at " + ", ".join(f"{k}={v}" for k, v in problem.overrides.items())
