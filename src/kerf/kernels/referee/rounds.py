"""Timed rounds: every worker answers the same fresh arguments, in alternating order; the cost of an empty call is taken off."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from kerf.core import temporary
from kerf.kernels.referee import clock
from kerf.kernels.referee.baselines import Baseline, baselines_of, empty_source
from kerf.kernels.referee.case import Case
from kerf.kernels.referee.compare import compare
from kerf.kernels.referee.pool import Outputs, Pool
from kerf.kernels.referee.process import Ended, Timing, Worker, candidate_policy, trusted_worker, zygote
from kerf.kernels.referee.stats import Interval, ratio

SAMPLE_S = 3e-3  # a sample is at least this long where the pool has room, by repeating short calls on different arguments
CALIBRATION_ROUNDS, OVERHEAD_ROUNDS = 7, 15
START_S = 30.0
NET_SHARE = 0.1  # of a sample is the least that is left when an empty call's cost is taken off: below that it is noise


@dataclass
class Answer:
    """What one worker did in one round."""

    timing: Timing
    seconds: float
    outputs: list[list[torch.Tensor]] = field(default_factory=list)


@dataclass
class Bench:
    """The baselines' workers of one case, warm, and what is known of them. Open once per evaluator."""

    case: Case
    threads: int
    wanted: tuple[str, ...]
    time_limit_s: float
    rng: random.Random
    trust: bool = False
    workers: dict[str, Worker] = field(default_factory=dict)
    makers: dict[str, Baseline] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    relative: dict[str, Interval] = field(default_factory=dict)
    overheads: dict[str, float] = field(default_factory=dict)
    calls: int = 1
    best: str = "eager"
    best_s: float = 0.0

    def open(self) -> None:
        """Start, check and time the baselines. About fifteen calls of each."""
        for baseline in baselines_of(self.case.problem, self.wanted, self.time_limit_s):
            self.makers[baseline.name] = baseline
            self._start(baseline)
        for name in set(self.wanted) - set(self.makers):
            self.left_out[name] = "does not apply"
        with clock.alone():
            self._choose_calls()
            self._measure_overheads()
            self._compare_baselines()

    def _start(self, baseline: Baseline) -> None:
        worker = self._worker(baseline.make)
        try:
            why = self._verify(worker, baseline.first_s)
        except Ended as ended:
            why = (
                "its first call ran past the limit"
                if ended.status is None
                else f"its worker ended with {ended.status}"
            )
        if why and baseline.name == "eager":
            worker.kill()
            raise RuntimeError(f"the reference does not run in a worker: {why}")
        if why:
            worker.kill()
            self.left_out[baseline.name] = why
            self.makers.pop(baseline.name)
        else:
            self.workers[baseline.name] = worker

    def _worker(self, make: Any) -> Worker:
        pool = Pool(self.case.output_bytes, sealed=False, orders=self.case.orders)
        worker = trusted_worker(pool, self.case.inputs, self.case.params, make, self.threads)
        worker.settle()
        return worker

    def _verify(self, worker: Worker, limit_s: float) -> str:
        """Run it on the given class: why it does not count as the same function; "" when it does."""
        check = self.case.check("given")
        message, held = self.case.place([check.args], worker.outputs, self.rng)
        reply, _ = worker.ask(message, limit_s)
        if not reply.get("ok"):
            return f"{reply.get('kind')}: {str(reply.get('text'))[:300]}"
        verdicts = [compare(a, e) for a, e in zip(held[0].read(), check.expected)]
        return next((v.text for v in verdicts if not v.passed), "")

    # ------------------------------------------------------------ calibration

    def _choose_calls(self) -> None:
        eager = self.workers["eager"]
        seconds = [
            self.seconds(self.answer(eager, [self.case.fresh(self.rng)], keep=False)[0]) for _ in range(3)
        ]
        self.calls = max(1, min(self.case.batch, math.ceil(SAMPLE_S / max(min(seconds), 1e-6))))

    def _measure_overheads(self) -> None:
        """Of an empty call in a sandboxed worker: through the module interface, where that includes copying the result out, and through
        the native one. Baselines are charged the same as modules, so that an error in it does not favour either."""
        with temporary.folder("empty") as folder:
            entry = Path(folder) / "kernel.py"
            entry.write_text(empty_source(self.case.like))
            empty = {name: self._sandboxed(entry, name) for name in ("module", "native")}
            samples: dict[str, list[float]] = {name: [] for name in empty}
            for k in range(OVERHEAD_ROUNDS):
                sets = [self.case.fresh(self.rng) for _ in range(self.calls)]
                for name in list(empty)[:: 1 if k % 2 else -1]:
                    samples[name].append(self.seconds(self.answer(empty[name], sets, keep=False)[0]))
            module, native = samples["module"][2:], samples["native"][2:]
            copying = statistics.median(m - n for m, n in zip(module, native))
            self.overheads = {"module": statistics.median(module)}
            self.overheads["native"] = max(0.0, self.overheads["module"] - max(0.0, copying))
            for worker in empty.values():
                worker.kill()

    def _sandboxed(self, entry: Path, interface: str) -> Worker:
        """A worker like a candidate's."""
        pool = Pool(self.case.output_bytes, sealed=False)
        policy = candidate_policy(self.case, entry.parent, self.threads, self.trust)
        worker = zygote(self.threads).fork(pool, self.case.inputs, self.case.params, policy, str(entry))
        load = {
            "op": "load",
            "init": [],
            "interface": interface,
            "training": False,
            "threads": self.threads,
            "weights": [],
        }
        worker.ask(load, START_S)
        return worker

    def _compare_baselines(self) -> None:
        samples: dict[str, list[float]] = {name: [] for name in self.workers}
        for k in range(CALIBRATION_ROUNDS + 1):
            found = self.round(k, {}, keep=())
            for name in samples:
                if k:
                    samples[name].append(found[name].seconds)
        medians = {name: statistics.median(v) for name, v in samples.items()}
        self.best = min(medians, key=lambda n: medians[n])
        self.best_s = medians[self.best]
        self.relative = {name: ratio(v, samples[self.best]) for name, v in samples.items()}

    # ------------------------------------------------------------ rounds

    def seconds(self, timing: Timing) -> float:
        """What counts: CPU time for one thread; for several the wall, and CPU time beyond what the threads could have used in it
        (work done after the answer, before the stop)."""
        if self.threads == 1:
            return timing.cpu
        return max(timing.wall, timing.cpu / self.threads)

    def answer(
        self, worker: Worker, sets: Sequence[Sequence[Any]], *, keep: bool
    ) -> tuple[Timing, list[Outputs], dict[str, Any]]:
        message, held = self.case.place(sets, worker.outputs, self.rng)
        reply, timing = worker.ask(message, self.time_limit_s * len(sets))
        return timing, held, reply

    def round(
        self,
        k: int,
        extra: dict[str, tuple[Worker, bool]],
        *,
        keep: Sequence[str],
        only: Sequence[str] | None = None,
    ) -> dict[str, Answer]:
        """One sample of each worker on the same fresh arguments; the order turns round each time. `extra`: candidates, and whether
        they are native. `keep`: whose outputs to read."""
        sets = [self.case.fresh(self.rng) for _ in range(self.calls)]
        entries = {n: (w, False) for n, w in self.workers.items() if only is None or n in only} | extra
        order = list(entries) if k % 2 else list(reversed(entries))
        answers: dict[str, Answer] = {}
        for name in order:
            worker, native = entries[name]
            timing, held, reply = self.answer(worker, sets, keep=name in keep)
            answers[name] = Answer(timing, self._net(timing, "native" if native else "module"))
            if not reply.get("ok"):
                raise Failed(name, reply)
            if name in extra and not all(h.fences_intact() for h in held):
                raise Overrun
            if name in keep:
                answers[name].outputs = [h.read() for h in held]
        self.sets = sets
        return answers

    def _net(self, timing: Timing, kind: str) -> float:
        """Seconds of one call of a sample, without what an empty call costs."""
        spent = self.seconds(timing)
        return max(NET_SHARE * spent, spent - self.overheads[kind]) / self.calls

    def revive(self) -> None:
        """Start again what has died since (the system may have run out of memory)."""
        for name, baseline in list(self.makers.items()):
            if not self.workers[name].alive:
                self._start(baseline)

    def renew(self) -> None:
        """Other processes for the baselines, except where starting means compiling."""
        for name, baseline in self.makers.items():
            if baseline.first_s <= self.time_limit_s:
                self.workers[name].kill()
                self.workers[name] = self._worker(baseline.make)

    def close(self) -> None:
        for worker in self.workers.values():
            worker.kill()


class Failed(Exception):
    """A worker answered that its call failed."""

    def __init__(self, name: str, reply: dict[str, Any]) -> None:
        super().__init__(name)
        self.name, self.reply = name, reply


class Overrun(Exception):
    """A candidate wrote outside its outputs."""
