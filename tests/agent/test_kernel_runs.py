"""Whole runs of a kernel search with a model, judged by the referee: over real HTTP, with everything that goes wrong there; and a
recorded conversation in which the model's kernel beats the search's start."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kerf.archive import Archive
from kerf.core.types import Candidate, Evaluation, KerfError, Status
from kerf.kernels.problem import load_problem
from kerf.kernels.referee.evaluator import KernelEvaluator
from kerf.kernels.render import optimize as optimize_text
from kerf.kernels.search import Request, budget_of, search
from kerf.kernels.targets.cpu import native
from kerf.models.ledger import Ledger
from kerf.models.registry import open_model
from kerf.proposers.agent.agents import Agents
from kerf.proposers.agent.session import Session
from kerf.runs import resume

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from scripted import NumberBench
from server import Cut, Fault, ScriptedServer, Turn
from test_conversation import Kept

HERE = Path(__file__).parent
CHEAT = """import torch

class ModelNew(torch.nn.Module):
    kept = None

    def forward(self, x):
        if ModelNew.kept is None:
            ModelNew.kept = torch.softmax(x, dim=1) * torch.sigmoid(x)
        return ModelNew.kept
"""
HONEST = CHEAT.replace("if ModelNew.kept is None:", "if True:")


def run(
    problem: Path, home: Path, model: str, evaluations: int, **more: Any
) -> tuple[dict[str, Any], Archive]:
    request = Request(str(problem), {"rows": 16}, 1, "agent", 0, ("eager",), model=model, **more)
    archive = Archive(home)
    return search(problem, request, budget_of(evaluations, None), archive=archive), archive


def candidate(source: str) -> Turn:
    return Turn(
        "an idea", calls=[("evaluate", {"idea": "faster", "files": {"kernel.py": source}, "alone": True})]
    )


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-planted-openai-000000")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-planted-000000000000")


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Winners keep the measurement that they have: a second takes most of a short run, and other tests guard it."""
    known: dict[str, Evaluation] = {}
    evaluate = KernelEvaluator.evaluate

    def evaluated(self: KernelEvaluator, candidate: Candidate) -> Evaluation:
        known[candidate.id] = evaluate(self, candidate)
        return known[candidate.id]

    monkeypatch.setattr(KernelEvaluator, "evaluate", evaluated)
    monkeypatch.setattr(KernelEvaluator, "confirm", lambda self, candidate: known[candidate.id])


@pytest.mark.usefixtures("once")
def test_over_http_a_run_ends_at_its_ceiling_and_goes_on_without_paying_twice(
    problem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = [
        Fault(429, retry_after=0.01),
        Cut(candidate(HONEST), events=3),
        Turn("", calls=[("evaluate", '{"files": {"kernel.py": ')]),
        replace(candidate(CHEAT), usage=(60_000, 20, 0)),
        candidate(HONEST),
    ]
    never_stops = itertools.repeat(Turn("again", calls=[("read_reference", {})]))
    with ScriptedServer(itertools.chain(script, never_stops)) as server:
        limits: dict[str, Any] = {"max_tokens": 60_000, "max_dollars": 9.0, "price": "1,2"}
        result, archive = run(problem, tmp_path / "home", server.openai, 9, **limits)
        first = archive.trials(result["run"])
        asked = len(server.requests)
        archive.close()
        assert [t.evaluation.status for t in first[:2]] == [Status.PASSED] * 2 and first[
            2
        ].candidate.proposer == "agent"
        cheat = first[2].evaluation
        assert cheat.status in (Status.WRONG, Status.REJECTED), "a kept result is not an answer"
        assert "expected" in cheat.reason, "the referee says what it saw"
        assert result["stopped"] == "exhausted" and asked == 4 and result["model"]["turns"] == 2
        assert 0.06 < result["model"]["dollars"] < 0.07
        assert f"kerf resume {result['run']} --max-dollars N --max-tokens N" in optimize_text(result)
        monkeypatch.setenv("KERF_HOME", str(tmp_path / "home"))
        again = resume(result["run"], max_tokens=1_000_000)
        archive = Archive(tmp_path / "home")
        assert archive.run(again["run"]).options["max_tokens"] == 1_000_000, "it holds from now on"
        trials = archive.trials(again["run"])
    assert len(trials) == 4 and again["stopped"] == "exhausted", "a model that never stops is left alone"
    assert again["model"]["turns"] == 2 + len(server.requests) - asked, (
        "the recorded turns were not asked for again"
    )
    told = json.dumps(server.requests[asked].body)
    assert "candidate c3" in told and first[2].evaluation.reason[:20] in told
    assert again["candidate"]["id"] == max(trials, key=lambda t: t.evaluation.score or 0.0).candidate.id
    page = Path(again["report"]).read_text()
    assert "What the model said" in page and "read_reference" in page
    for path in (tmp_path / "home").rglob("*"):
        assert not path.is_file() or b"planted" not in path.read_bytes(), path
    assert "planted" not in json.dumps([body for _, _, body in archive.turns(again["run"])])
    archive.close()


def test_the_end_of_the_time_cuts_a_call_short_and_is_no_failure() -> None:
    with ScriptedServer([Turn("let me think " * 50, pieces=50, pause_s=0.1)]) as server:
        ledger = Ledger()
        session = Session(open_model(server.openai, ledger=ledger), ledger, None, Kept(), live=True)
        began = time.monotonic()
        session.until = began + 0.5
        agents = Agents(NumberBench(), session)
        assert not agents.ask(1) and not agents.ask(1) and time.monotonic() - began < 3.0
    assert len(server.requests) == 1 and not session.stopped


START = """
import sys
from kerf.kernels.search import Request, budget_of, search

request = Request(sys.argv[1], {"rows": 16}, 1, "agent", 0, ("eager",), model=sys.argv[2])
search(sys.argv[1], request, budget_of(4, None))
"""
SLOW = HONEST + "\n\nimport time\n\ntime.sleep(0.5)\n"


def test_killed_in_a_call_and_in_an_evaluation_it_pays_for_no_turn_twice(
    problem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("KERF_HOME", str(home))

    def begun(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-W", "ignore", *words], stdout=subprocess.PIPE, text=True)

    def kill_when(process: subprocess.Popen[str], so_far: Callable[[], bool]) -> None:
        while not so_far():
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.02)
        time.sleep(0.1)
        process.kill()
        process.communicate()

    script = [candidate(HONEST), Turn("let me think " * 100, pieces=100, pause_s=0.1), candidate(SLOW)]
    with ScriptedServer(script) as server, Archive(home) as archive:
        kill_when(begun("-c", START, str(problem), server.openai), lambda: len(server.requests) == 2)
        [run] = archive.runs(2)
        before = archive.trials(run.id)
        assert len(before) == 3 and len(archive.turns(run.id)) == 1, "in the middle of the second call"
        kill_when(begun("-m", "kerf.cli", "resume", run.id), lambda: len(archive.turns(run.id)) == 2)
        assert len(archive.trials(run.id)) == 3, "in the middle of the evaluation"
        result = resume(run.id)
        trials = archive.trials(run.id)
    assert len(server.requests) == 3, "asked again: only what had no answer"
    assert len(trials) == 4 and trials[:3] == before and trials[3].evaluation.status is Status.PASSED
    assert result["model"]["turns"] == 2 and result["stopped"] == "budget" and result["confirmed"]
    assert result["candidate"]["id"] in {t.candidate.id for t in trials}


def test_what_cannot_begin_says_so(problem: Path, tmp_path: Path) -> None:
    with pytest.raises(KerfError, match="needs a language model: add --model"):
        run(problem, tmp_path, "", 3)
    with pytest.raises(KerfError, match=r"price of openai/nobody-knows@.*--price IN,OUT"):
        run(problem, tmp_path, "openai/nobody-knows@http://127.0.0.1:1/v1", 3, max_dollars=1.0)
    with pytest.raises(KerfError, match="'free' is not IN,OUT"):
        run(problem, tmp_path, "openai/nobody-knows@http://127.0.0.1:1/v1", 3, max_dollars=1.0, price="free")


@pytest.mark.skipif("avx512f" not in native().features, reason="the recorded kernel is written for AVX-512")
def test_a_recorded_conversation_beats_the_start_of_the_search(problem: Path, tmp_path: Path) -> None:
    """Played again with today's referee: the wrong first answer is found, its correction beats what the generator started with, by a
    sixth or so at the lower ends of their intervals. Other work on the machine widens one interval by as much; not of three runs."""
    request = Request(
        str(problem), {}, 1, "agent", 0, ("eager",), model=f"replay/{HERE / 'gated_softmax.jsonl'}"
    )
    for attempt in range(3):
        with Archive(tmp_path / f"home{attempt}") as archive:
            result = search(problem, request, budget_of(6, None), archive=archive)
            trials = archive.trials(result["run"])
            assert archive.turns(result["run"])
        start, _, wrong, *better = trials
        assert (start.candidate.proposer, wrong.evaluation.status) == ("heuristic", Status.WRONG)
        scores = [t.evaluation.score or 0.0 for t in better if t.candidate.proposer == "agent"]
        if max(scores) > (start.evaluation.score or 0.0) and result["candidate"]["proposer"] != "heuristic":
            break
    else:
        pytest.fail(f"the start won three times: {start.evaluation.headline} over {scores}")
    assert result["candidate"]["proposer"] in ("agent", "tuner") and result["confirmed"]
    assert "written by replay/" in result["provenance"][0]["what"]
    assert load_problem(problem).name in Path(result["report"]).read_text()
