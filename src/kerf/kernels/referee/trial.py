"""One candidate on trial: built, loaded, checked and timed, in that order until something is wrong."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from kerf.core import temporary
from kerf.core.types import Status
from kerf.kernels.referee import clock
from kerf.kernels.referee.build import build, build_empty
from kerf.kernels.referee.candidate import Malformed, Package, package
from kerf.kernels.referee.case import Case, Check
from kerf.kernels.referee.claims import claims_all_generated, described
from kerf.kernels.referee.compare import Verdict, compare
from kerf.kernels.referee.pool import Pool
from kerf.kernels.referee.process import Ended, Timing, Worker, candidate_policy, zygote
from kerf.kernels.referee.rounds import Bench, Failed, Overrun
from kerf.kernels.referee.samples import CONTENDED, Samples
from kerf.kernels.referee.stats import Interval
from kerf.kernels.referee.stop import Stop, died, failed
from kerf.kernels.referee.tolerance import Expected, reference_outputs

RAGGED_CLASSES = ("given", "mixed")
EARLY_PAIRS, HOPELESS = 5, 0.7  # after so many pairs, a candidate surely slower is measured no further
TIMED_SLACK = 1.0 + 2.0 / 16.0  # against a float32 baseline, which is itself a variant's error away
PROCESSES = 5  # in which a precise trial measures, one after the other
FEWEST_PAIRS, MOST_PAIRS, GROUP_S = 3, 12, 0.4  # pairs in each, so that slow kernels do not take minutes
REPEAT_S = 1.0  # that contended pairs of one set of processes may take again
LOOKED_AT_AGAIN = 0.5  # how often a result is read again after a later call
SURELY_AGAIN = 3  # classes of values whose check surely finds other values at the address of the call before
SAMPLE_ELEMENTS, SAMPLE_BLOCKS = 1 << 22, 8


@dataclass
class Trial:
    """`run()` returns when the candidate passed, and raises Stop otherwise. `detail` is filled on the way."""

    case: Case
    bench: Bench
    files: dict[str, str]
    threads: int
    pairs: int
    precise: bool
    trust: bool
    compile_limit_s: float
    time_limit_s: float
    rng: random.Random
    ragged: Sequence[Case] = ()
    floor_s: float = 0.0
    claims: bool = False  # whether to check what its manifest claims about itself
    detail: dict[str, Any] = field(default_factory=dict)
    samples: Samples = field(default_factory=lambda: Samples(()))
    prepare_s: float = 0.0
    worker: Worker | None = None
    version: int = 0
    again: set[str] = field(default_factory=set)

    def run(self) -> None:
        try:
            found = package(self.files)
        except Malformed as error:
            raise Stop(Status.REJECTED, str(error)) from None
        self.package = found
        with temporary.folder("candidate") as folder:
            self.folder = Path(folder)
            self._build(found)
            try:
                self._start(self.case)
                self._judge()
                if (self.claims or self.precise) and claims_all_generated(found.manifest):
                    self._check_claims(found)
            finally:
                if self.worker is not None:
                    self.worker.kill()

    def _orders(self, case: Case) -> Sequence[Sequence[int]]:
        """How the outputs of a native candidate lie in memory, by its manifest."""
        found = self.package.orders
        ranks = [t.dim() for t in case.like]
        if found and (len(found) != len(ranks) or any(o and len(o) != n for o, n in zip(found, ranks))):
            words = f'manifest.json: "orders" is {[list(o) for o in found]}, but the results have {ranks} dimensions'
            raise Stop(Status.REJECTED, words)
        return found

    def _build(self, found: Package) -> None:
        made = build(found, self.folder, timeout_s=self.compile_limit_s, trust=self.trust)
        self.detail["compile_s"] = made.seconds
        if made.problem:
            raise Stop(Status.BUILD_FAILED, made.problem)

    # ------------------------------------------------------------ the worker

    def _start(self, case: Case, *, writable: bool = False) -> None:
        orders = self._orders(case) if self.package.native else case.orders
        outputs = Pool(case.output_bytes, sealed=False, orders=orders)
        policy = candidate_policy(case, self.folder, self.threads, self.trust)
        entry = str(self.folder / self.package.entry)
        try:
            self.worker = zygote(self.threads).fork(
                outputs, case.inputs, case.params, policy, entry, writable=writable
            )
        except Ended as ended:
            raise Stop(Status.CRASHED, f"its worker did not start (exit status {ended.status})") from None
        self.detail["isolation"] = self.worker.force
        self.version = 0
        message = {"op": "load", "init": case.problem.init_inputs, "interface": "native" if self.package.native else "module",
                   "training": case.module.training, "threads": self.threads, "weights": case.weights[0]}  # fmt: skip
        self._ask(message, max(30.0, self.time_limit_s), "loading it")

    def _ask(self, message: dict[str, Any], limit_s: float, doing: str) -> Timing:
        assert self.worker is not None
        try:
            reply, timing = self.worker.ask(message, limit_s)
        except Ended as ended:
            raise self._died(ended, message, limit_s, doing) from None
        if not reply.get("ok"):
            raise failed(reply, doing)
        return timing

    def _died(self, ended: Ended, message: dict[str, Any], limit_s: float, doing: str) -> Stop:
        faulted = ended.status in (-signal.SIGSEGV, -signal.SIGBUS) and message["op"] == "call"
        if faulted and self._wrote_inputs(message, limit_s):
            return Stop(Status.REJECTED, f"{doing}, it wrote to its inputs, which are read-only")
        return died(ended.status, limit_s, doing)

    def _wrote_inputs(self, message: dict[str, Any], limit_s: float) -> bool:
        """Repeat the call that crashed with inputs in a private copy: if it survives, writing to them was the cause."""
        self.worker = None
        try:
            self._start(self.current, writable=True)
            assert self.worker is not None
            self.worker.ask(message, limit_s)
        except (Stop, Ended):
            return False
        return True

    # ------------------------------------------------------------ the verdict

    def _judge(self) -> None:
        """Checks of every class and timed rounds in one random order (a worker cannot tell them apart), then new weights, then
        other sizes."""
        self.current = self.case
        names = [n for n in self.case.names() if n != "weights"]
        timing = self._check(self.case.check("given"))
        agenda: list[str | int] = [n for n in names if n != "given"]
        self.rng.shuffle(agenda)
        self.again = {str(n) for n in self.rng.sample(agenda, min(SURELY_AGAIN, len(agenda)))}
        head = self.rng.randint(1, max(1, len(agenda) - 2)) if len(agenda) > 1 else len(agenda)
        for name in agenda[:head]:
            self._check(self.case.check(str(name)))
        self._rounds(agenda[head:])
        if self.time().value < self.floor_s:  # not believed at once: the same rounds again decide
            self.detail["measured_again_s"] = self.time().value
            self._rounds([])
        self.prepare_s = max(0.0, self.bench.seconds(timing) - self.time().value)
        if self.case.has_weights:
            self._check(self.case.check("weights"))
            self._check(self.case.check("given"))
        if self.package.any_shape:
            self._other_sizes()

    def _other_sizes(self) -> None:
        """A candidate that says it takes any shape is built anew at odd sizes and checked there, in fresh workers."""
        for case in self.ragged:
            assert self.worker is not None
            self.worker.kill()
            self.current = case
            self._start(case)
            for name in RAGGED_CLASSES:
                self._check(case.check(name))

    def _check(self, check: Check) -> Timing:
        """One call on a class of values, compared with the float64 reference, element by element."""
        assert self.worker is not None
        if check.new_weights != bool(self.version):
            self.version = int(check.new_weights)
            self._ask(
                {"op": "weights", "weights": self.current.weights[self.version]},
                self.time_limit_s,
                "loading new weights",
            )
        again = check.name in self.again
        message, held = self.current.place([check.args], self.worker.outputs, self.rng, again=again)
        keep = not self.package.native and (check.name == "given" or self.rng.random() < LOOKED_AT_AGAIN)
        timing = self._ask({**message, "keep": keep}, self.time_limit_s, f"called on {_described(check)}")
        if not held[0].fences_intact():
            raise Stop(
                Status.REJECTED, "it wrote outside its outputs (the guard bytes around them have changed)"
            )
        answers = held[0].read()
        earlier = [a.clone() for a in answers] if keep else []
        self._compare(answers, check.expected, _described(check))
        if earlier:
            self._earlier_output(earlier)
        return timing

    def _compare(self, answers: Sequence[torch.Tensor], expected: Sequence[Expected], what: str) -> None:
        for i, (answer, wanted) in enumerate(zip(answers, expected)):
            verdict = compare(answer, wanted)
            self._note_error(verdict, wanted, what)
            if not verdict.passed:
                which = f"output {i}: " if len(expected) > 1 else ""
                raise Stop(Status.WRONG, f"on {what}: {which}{verdict.text}")

    def _note_error(self, verdict: Verdict, wanted: Expected, what: str) -> None:
        worst = self.detail.get("error")
        closeness = verdict.error / verdict.tolerance if verdict.tolerance else 0.0
        if worst is None or closeness > worst["share"]:
            self.detail["error"] = {
                "max": verdict.error,
                "tolerance": verdict.tolerance,
                "share": closeness,
                "class": what,
                "multiple": wanted.multiple,
            }

    def _earlier_output(self, answers: list[torch.Tensor]) -> None:
        """What it returned must still be there after another call: a module that returns the same buffer again overwrites it."""
        assert self.worker is not None
        args = self.current.fresh(self.rng)
        message, _ = self.current.place([args], self.worker.outputs, self.rng)
        self._ask(message, self.time_limit_s, "called on fresh values")
        held = self.current.output(
            self.worker.outputs, self.rng
        )  # no call: the last one's arguments stay where they are
        self._ask({"op": "recopy", "outputs": held.places}, self.time_limit_s, "reading an earlier result")
        if not all(same_bits(a, b) for a, b in zip(answers, held.read())):
            raise Stop(
                Status.REJECTED,
                "an output it returned earlier changed when it was called again (it hands out the same memory twice)",
            )

    # ------------------------------------------------------------ what it says about itself

    def _check_claims(self, found: Package) -> None:
        """It says that all of its work is generated code: see `claims`. In fresh workers, on the given class of values."""
        if not found.units:
            raise Stop(Status.REJECTED, "its manifest claims generated code, but there is no C source in it")
        reply, _ = self._answer_anew("traced")
        if reply.get("computing"):
            words = f"its manifest claims generated code only, but a call of it computes with {described(reply['computing'])}"
            raise Stop(Status.REJECTED, words)
        for unit in found.units:
            library = self.folder / unit.output
            made = build_empty(library, timeout_s=self.compile_limit_s, trust=self.trust)
            if made is not None:
                shutil.copyfile(made, library)
        _, right = self._answer_anew("call")
        if right:
            words = "its compiled code does none of the work: with every function in it replaced by an empty one, the answers are still right"
            raise Stop(Status.REJECTED, words)
        self.detail["claims"] = "generated code only: traced, and wrong with its functions emptied"

    def _answer_anew(self, operation: str) -> tuple[dict[str, Any], bool]:
        """The second of two calls in a fresh worker (the first may prepare weights): its reply, and whether the answer is right."""
        assert self.worker is not None
        self.worker.kill()
        self.current = self.case
        check = self.case.check("given")
        try:
            self._start(self.case)
            for op in ("call", operation):
                message, held = self.case.place([check.args], self.worker.outputs, self.rng)
                reply, _ = self.worker.ask({**message, "op": op}, self.time_limit_s)
                if not reply.get("ok"):
                    return reply, False
            answers = held[0].read()
        except (Ended, Stop):
            return {}, False
        return reply, all(compare(a, e).passed for a, e in zip(answers, check.expected))

    # ------------------------------------------------------------ timing

    def _rounds(self, between: list[str | int]) -> None:
        """Pairs with the remaining checks at random places among them; a precise trial goes on in fresh processes."""
        names = list(self.bench.workers) if self.precise else [self.bench.best]
        self.samples = Samples(("candidate", *names))
        started = time.monotonic()
        with clock.alone():
            self._pair(0, names, None)  # warms the caches of every worker alike
        pairs = _pairs_each(time.monotonic() - started) if self.precise else self.pairs
        self._group(0, pairs, between)
        for process in range(1, PROCESSES if self.precise else 1):
            self._renew()
            with clock.alone():
                self._pair(process, names, None)
            self._group(process, pairs, [])

    def _renew(self) -> None:
        """Other processes for the candidate and the baselines."""
        assert self.worker is not None
        self.worker.kill()
        self._start(self.case)
        self.bench.renew()

    def _group(self, process: int, pairs: int, between: list[str | int]) -> None:
        """So many pairs in the processes that there are, each under the machine's lock."""
        names = [n for n in self.samples.seconds if n != "candidate"]
        places = {self.rng.randrange(pairs): n for n in between}
        late = [n for n in between if n not in places.values()]
        for k in range(pairs):
            with clock.alone():
                self._pair(process + k + 1, names, process)
            if k in places:
                self._check(self.case.check(str(places[k])))
            if k + 1 == EARLY_PAIRS and not self.precise and self._hopeless():
                break
        if self.threads > 1:
            self._replace_contended(names, process, pairs)
        for name in (*late, *(n for at, n in places.items() if at > k)):
            self._check(self.case.check(str(name)))

    def _replace_contended(self, names: list[str], process: int, pairs: int) -> None:
        """Wall time means little where a worker waited for a core: such pairs are measured again, at most as many as there were, and not
        for long: on a machine that stays busy the next pair waits as well."""
        until = time.monotonic() + REPEAT_S
        again = self.detail.setdefault("contended_pairs_measured_again", 0)
        for k in range(pairs):
            worst = self.samples.worst(process)
            if self.samples.delays[worst] <= CONTENDED or time.monotonic() > until:
                break
            with clock.alone():
                self._pair(k + 1, names, process)
            again += 1
            self.samples.remove(worst if self.samples.delays[-1] < self.samples.delays[worst] else -1)
        self.detail["contended_pairs_measured_again"] = again

    def _pair(self, k: int, names: list[str], process: int | None) -> None:
        """One sample of each on the same arguments; kept under `process`, unless that is None."""
        assert self.worker is not None
        extra = {"candidate": (self.worker, self.package.native)}
        try:
            answers = self.bench.round(k, extra, keep=("candidate", self.bench.best), only=names)
        except Ended as ended:
            if self.worker.alive:
                raise RuntimeError("a baseline's worker died") from ended
            raise self._died(
                ended, {"op": "timed"}, self.time_limit_s * self.bench.calls, "called on fresh values"
            ) from None
        except Overrun:
            raise Stop(
                Status.REJECTED, "it wrote outside its outputs (the guard bytes around them have changed)"
            ) from None
        except Failed as error:
            if error.name != "candidate":
                raise RuntimeError(f"the {error.name} baseline failed: {error.reply}") from error
            raise failed(error.reply, "called on fresh values") from None
        self._verify_timed(answers["candidate"].outputs, answers[self.bench.best].outputs)
        if process is not None:
            delay = max(a.timing.waited / max(a.timing.wall, 1e-9) for a in answers.values())
            self.samples.add({n: a.seconds for n, a in answers.items()}, delay, process)

    def _verify_timed(self, answers: list[list[torch.Tensor]], baseline: list[list[torch.Tensor]]) -> None:
        """Timed outputs are checked like any other: against the baseline's own answer to the same arguments, and where that looks
        wrong, against the float64 reference. Of large outputs a secret sample."""
        expected = self.case.check("given").expected
        for args, mine, theirs in zip(self.bench.sets, answers, baseline):
            if all(self._close(a, b, e) for a, b, e in zip(mine, theirs, expected)):
                continue
            self._compare(mine, reference_outputs(self.case.module, args), "fresh values of a timed call")

    def _close(self, answer: torch.Tensor, baseline: torch.Tensor, like: Expected) -> bool:
        if like.table is None or answer.is_complex():
            return torch.equal(answer, baseline)
        if answer.numel() > SAMPLE_ELEMENTS:
            answer, baseline = self._sample(answer, baseline)
        wide = torch.float64 if answer.dtype == torch.float64 else torch.float32
        return compare(answer, Expected(baseline.to(wide), like.dtype, like.table), TIMED_SLACK).passed

    def _sample(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        block = SAMPLE_ELEMENTS // SAMPLE_BLOCKS
        starts = [self.rng.randrange(a.numel() - block + 1) for _ in range(SAMPLE_BLOCKS)]
        x, y = a.reshape(-1), b.reshape(-1)
        return torch.cat([x[s : s + block] for s in starts]), torch.cat([y[s : s + block] for s in starts])

    def _hopeless(self) -> bool:
        return self.samples.speedup(self.bench.best).high < HOPELESS

    # ------------------------------------------------------------ what was measured

    def speedups(self) -> dict[str, Interval]:
        """Over each baseline: measured in this trial, or for baselines that were not in it, through their ratio to the best."""
        found = {n: self.samples.speedup(n) for n in self.samples.seconds if n != "candidate"}
        for name, relative in self.bench.relative.items():
            if name not in found:
                found[name] = found[self.bench.best].times(relative)
        return found

    def time(self) -> Interval:
        return self.samples.time()


def _pairs_each(round_s: float) -> int:
    """How many pairs in each set of processes, where a round takes so long."""
    return max(FEWEST_PAIRS, min(MOST_PAIRS, round(GROUP_S / round_s)))


def _described(check: Check) -> str:
    return "new weights" if check.new_weights else f"{check.name} values{check.sizes}"


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8))
