"""The loop: what it spends, keeps, confirms, survives and repeats."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toys import ToyEvaluator, ToyProblem

from kerf import loop
from kerf.archive import Archive
from kerf.core.records import RunState, Stop
from kerf.core.types import Budget, Candidate, Evaluation, KerfError, Status
from kerf.proposers import make
from kerf.proposers.conformance import ToySpace


@pytest.fixture
def archive(tmp_path):
    with Archive(tmp_path / "home") as found:
        yield found


def start(archive, evaluator=None, evaluations=12, name="evolution", seed=3, **more):
    evaluator = evaluator or ToyEvaluator()
    proposer = make(name, evaluator.landscape.space, archive.memory(), seed)
    return loop.run(ToyProblem(), proposer, evaluator, archive, Budget(evaluations), seed=seed, **more)


def again(archive, run, evaluator, name="evolution", seed=3, **more):
    proposer = make(name, evaluator.landscape.space, archive.memory(run), seed)
    return loop.resume(run, proposer, evaluator, archive, **more)


def proposals(archive, run):
    return [t.candidate.id for t in archive.trials(run)]


def test_it_stops_at_the_budget_and_confirms_the_winner(archive):
    evaluator = ToyEvaluator()
    outcome = start(archive, evaluator)
    assert (outcome.stop, outcome.evaluations, len(evaluator.calls)) == (Stop.BUDGET, 12, 12)
    claimed = max(t.evaluation.score or 0 for t in archive.trials(outcome.run))
    assert outcome.confirmed and outcome.evaluation.score == pytest.approx(0.97 * claimed)
    assert archive.run(outcome.run).best == outcome.best.id == evaluator.confirmed[0]


def test_it_stops_at_the_time(archive):
    ticks = itertools.count(0.0, 1.0)
    evaluator = ToyEvaluator()
    proposer = make("random", evaluator.landscape.space, None, 0)
    outcome = loop.run(
        ToyProblem(), proposer, evaluator, archive, Budget(seconds=40), clock=lambda: next(ticks)
    )
    assert outcome.stop is Stop.BUDGET and 2 < outcome.evaluations < 40 and outcome.seconds >= 40


def test_it_ends_when_the_proposer_has_nothing_left(archive):
    assert start(archive, name="heuristic").stop is Stop.EXHAUSTED


def test_what_the_archive_knows_is_not_measured_again(archive):
    first = start(archive)
    evaluator = ToyEvaluator()
    second = start(archive, evaluator, evaluations=5)
    assert second.reused >= 12 and second.evaluations == len(evaluator.calls) == 5
    assert proposals(archive, second.run)[:12] == proposals(archive, first.run)


def test_another_evaluator_key_measures_afresh(archive):
    start(archive)
    assert start(archive, ToyEvaluator(key="another-machine")).reused == 0


def test_a_winner_that_does_not_hold_gives_way_to_the_next(archive):
    class Strict(ToyEvaluator):
        def confirm(self, candidate):
            first = not self.confirmed
            verdict = super().confirm(candidate)
            return Evaluation(Status.WRONG, "differs in a fresh process") if first else verdict

    evaluator = Strict()
    outcome = start(archive, evaluator)
    claims = sorted((t.evaluation.score or 0 for t in archive.trials(outcome.run)), reverse=True)
    assert (
        outcome.evaluation.score == pytest.approx(0.97 * claims[1])
        and outcome.best.id == evaluator.confirmed[1]
    )


def test_a_winner_that_shrinks_is_compared_with_the_next(archive):
    class Shrinking(ToyEvaluator):
        def confirm(self, candidate):
            verdict = super().confirm(candidate)
            return Evaluation(Status.PASSED, score=0.01) if len(self.confirmed) == 1 else verdict

    evaluator = Shrinking()
    outcome = start(archive, evaluator)
    assert outcome.best.id == evaluator.confirmed[1] and outcome.evaluation.score > 0.01


def test_nothing_passing_is_an_answer(archive):
    class Broken(ToyEvaluator):
        def evaluate(self, candidate):
            return Evaluation(Status.CRASHED, "segmentation fault")

    outcome = start(archive, Broken())
    assert outcome.best is None and outcome.evaluation is None and not outcome.confirmed


class Interrupted(ToyEvaluator):
    """Ctrl-C in the seventh evaluation."""

    def evaluate(self, candidate):
        if len(self.calls) == 6:
            raise KeyboardInterrupt
        return super().evaluate(candidate)


@pytest.mark.parametrize("name", ["evolution", "portfolio", "cost_model"])
def test_after_ctrl_c_a_resumed_run_proposes_what_it_would_have(tmp_path, name):
    with Archive(tmp_path / "whole") as whole, Archive(tmp_path / "cut") as cut:
        expected = proposals(whole, start(whole, name=name, evaluations=24).run)
        outcome = start(cut, Interrupted(), name=name, evaluations=24)
        assert outcome.stop is Stop.INTERRUPTED and outcome.best is not None and not outcome.confirmed
        assert cut.run(outcome.run).state is RunState.INTERRUPTED
        evaluator = ToyEvaluator()
        resumed = again(cut, outcome.run, evaluator, name)
        assert proposals(cut, outcome.run) == expected
        assert len(evaluator.calls) == 18 and resumed.evaluations == 24 and resumed.confirmed


def test_resume_takes_a_larger_budget_and_counts_what_was_spent(archive):
    run = start(archive).run
    outcome = again(archive, run, ToyEvaluator(), budget=Budget(20))
    assert outcome.evaluations == 20 and len(proposals(archive, run)) == 20


def test_resume_under_other_conditions_is_refused(archive):
    run = start(archive).run
    with pytest.raises(KerfError, match="other conditions"):
        again(archive, run, ToyEvaluator(key="another-machine"))


def test_the_same_seed_gives_the_same_proposals_and_another_does_not(tmp_path):
    found = []
    for seed in (5, 5, 6):
        with Archive(tmp_path / str(len(found))) as archive:
            found.append(proposals(archive, start(archive, name="portfolio", seed=seed, evaluations=30).run))
    assert found[0] == found[1] != found[2]


def test_progress_tells_the_best_so_far(archive):
    seen = []
    outcome = start(archive, progress=seen.append)
    best = [p.best.evaluation.score for p in seen if p.best]
    assert (
        best == sorted(best)
        and seen[0].trial is None
        and seen[-2].confirming
        and seen[-1].stop is Stop.BUDGET
    )
    assert [p.evaluations for p in seen[:-2]] == list(range(13)) and seen[0].run == outcome.run


SLOW = """
import signal, sys, time
sys.path.insert(0, sys.argv[1])
from kerf import loop
from kerf.archive import Archive
from kerf.core.types import Budget
from kerf.proposers import make
from toys import ToyEvaluator, ToyProblem

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored

class Slow(ToyEvaluator):
    def evaluate(self, candidate):
        time.sleep(float(sys.argv[3]))
        return super().evaluate(candidate)

with Archive(sys.argv[2]) as archive:
    evaluator, seed = Slow(), int(sys.argv[4])
    proposer = make("evolution", evaluator.landscape.space, archive.memory(), seed)
    loop.run(ToyProblem(), proposer, evaluator, archive, Budget(int(sys.argv[5])), seed=seed)
"""


def spawn(home: Path, sleep_s: float, seed: int, evaluations: int) -> subprocess.Popen:
    arguments = [str(Path(__file__).parent), str(home), str(sleep_s), str(seed), str(evaluations)]
    return subprocess.Popen([sys.executable, "-c", SLOW, *arguments])


def wait_for_trials(home: Path, most: int) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with Archive(home) as archive:
            runs = archive.runs()
            if runs and len(archive.trials(runs[0].id)) >= most:
                return runs[0].id
        time.sleep(0.05)
    raise AssertionError("the run never got going")


def test_kill_9_loses_only_the_evaluation_in_flight(tmp_path):
    process = spawn(tmp_path, 0.05, seed=3, evaluations=400)
    run = wait_for_trials(tmp_path, 6)
    with Archive(tmp_path) as archive:
        assert archive.is_held(run)
        with pytest.raises(KerfError, match="another process"):
            again(archive, run, ToyEvaluator())
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Archive(tmp_path) as archive, Archive(tmp_path / "whole") as whole:
        before = proposals(archive, run)
        assert len(before) >= 6 and not archive.is_held(run)
        outcome = again(archive, run, ToyEvaluator(), budget=Budget(len(before) + 6))
        assert outcome.confirmed and outcome.evaluations == len(before) + 6
        assert proposals(archive, run) == proposals(whole, start(whole, evaluations=len(before) + 6).run)


def test_a_real_ctrl_c_ends_the_run_in_order(tmp_path):
    process = spawn(tmp_path, 0.05, seed=3, evaluations=400)
    run = wait_for_trials(tmp_path, 3)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0
    with Archive(tmp_path) as archive:
        record = archive.run(run)
        assert record.state is RunState.INTERRUPTED and record.best and not archive.is_held(run)


def test_a_forked_worker_that_outlives_kerf_does_not_keep_the_run(tmp_path):
    import os

    with Archive(tmp_path) as archive:
        run = archive.begin(ToyProblem(), "key", "random", 0, Budget(1), {})
        child = os.fork()
        if child == 0:
            time.sleep(20)
            os._exit(0)
        archive.finish(run, RunState.INTERRUPTED, 0.0, None)
        assert not archive.is_held(run)
        archive.reopen(run, Budget(2))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_proposer_that_repeats_itself_ends(archive):
    class Parrot:
        name = "parrot"

        def ask(self, n):
            return [ToySpace().candidate(ToySpace().default(), parent=None, proposer=self.name)] * n

        def tell(self, candidate, evaluation):
            pass

    evaluator = ToyEvaluator()
    outcome = loop.run(ToyProblem(), Parrot(), evaluator, archive, Budget(9))
    assert outcome.stop is Stop.EXHAUSTED and len(evaluator.calls) == 1


OPEN_AT = "import sys, time\nfrom pathlib import Path\nfrom kerf.archive.database import Database\nwhile time.time() < float(sys.argv[2]): pass\nDatabase(Path(sys.argv[1]))"


def test_many_processes_may_make_the_same_archive(tmp_path):
    """SQLite's switch to WAL fails at once, without waiting, where two processes make it in the same moment."""
    for k in range(3):
        at = str(time.time() + 1.0)
        command = [sys.executable, "-c", OPEN_AT, str(tmp_path / f"{k}.sqlite"), at]
        assert [p.wait(timeout=60) for p in [subprocess.Popen(command) for _ in range(6)]] == [0] * 6


def test_two_processes_share_an_archive(tmp_path):
    processes = [spawn(tmp_path, 0.0, seed, 150) for seed in (1, 2)]
    assert [p.wait(timeout=60) for p in processes] == [0, 0]
    with Archive(tmp_path) as archive:
        runs = archive.runs()
        assert len(runs) == 2 and all(r.state is RunState.DONE for r in runs)
        for run in runs:
            measured = [t for t in archive.trials(run.id) if not t.reused]
            assert len(measured) == 150


def test_a_proposer_that_answers_otherwise_on_resume_still_hears_what_was_measured(archive):
    """A language model may not repeat itself; what was paid for must reach it all the same."""

    class Moody:
        name = "moody"

        def __init__(self, mood):
            self.mood, self.count, self.heard = mood, 0, []

        def ask(self, n):
            self.count += 1
            point = {
                **ToySpace().default(),
                "tile": (1, 2, 4, 8, 16, 32)[self.count % 6],
                "unroll": self.mood,
            }
            return [ToySpace().candidate(point, parent=None, proposer=self.name)]

        def tell(self, candidate: Candidate, evaluation):
            self.heard.append(candidate.id)

    evaluator = ToyEvaluator()
    run = loop.run(ToyProblem(), Moody(1), evaluator, archive, Budget(3)).run
    second = Moody(2)
    outcome = loop.resume(run, second, ToyEvaluator(), archive, budget=Budget(5))
    assert second.heard[:3] == proposals(archive, run)[:3] and outcome.evaluations == 5
