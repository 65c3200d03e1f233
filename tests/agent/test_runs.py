"""Whole runs of a kernel search with a model, judged by the referee: over real HTTP, with everything that goes wrong there; and a
recorded conversation in which the model's kernel beats the search's start."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from kerf.archive import Archive
from kerf.core.types import KerfError, Status
from kerf.kernels.problem import load_problem
from kerf.kernels.search import Request, budget_of, search
from kerf.kernels.targets.cpu import native

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from server import Cut, Fault, ScriptedServer, Turn

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
    problem: Path, home: Path, model: str, evaluations: int, resume: str | None = None, **more: Any
) -> tuple[dict[str, Any], Archive]:
    request = Request(str(problem), {"rows": 16}, 1, "agent", 0, ("eager",), model=model, **more)
    archive = Archive(home)
    return search(problem, request, budget_of(evaluations, None), archive=archive, resume=resume), archive


def candidate(source: str) -> Turn:
    return Turn(
        "an idea", calls=[("evaluate", {"idea": "faster", "files": {"kernel.py": source}, "alone": True})]
    )


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-planted-openai-000000")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-planted-000000000000")


def test_over_http_a_run_ends_in_budget_and_goes_on_without_paying_twice(
    problem: Path, tmp_path: Path
) -> None:
    script = [
        Fault(429, retry_after=0.01),
        Cut(candidate(HONEST), events=3),
        Turn("", calls=[("evaluate", '{"files": {"kernel.py": ')]),
        candidate(CHEAT),
        candidate(HONEST),
    ]
    never_stops = itertools.repeat(Turn("again", calls=[("read_reference", {})]))
    with ScriptedServer(itertools.chain(script, never_stops)) as server:
        result, archive = run(problem, tmp_path / "home", server.openai, 3)
        first = archive.trials(result["run"])
        asked = len(server.requests)
        archive.close()
        assert [t.evaluation.status for t in first[:2]] == [Status.PASSED] * 2 and first[
            2
        ].candidate.proposer == "agent"
        assert first[2].evaluation.status is not Status.PASSED, "a kept result is not an answer"
        assert result["stopped"] == "budget" and asked == 4 and result["model"]["turns"] == 2
        again, archive = run(problem, tmp_path / "home", server.openai, 9, resume=result["run"])
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


def test_what_cannot_begin_says_so(problem: Path, tmp_path: Path) -> None:
    with pytest.raises(KerfError, match="needs a language model: add --model"):
        run(problem, tmp_path, "", 3)
    with pytest.raises(KerfError, match="price of openai/nobody-knows"):
        run(problem, tmp_path, "openai/nobody-knows@http://127.0.0.1:1/v1", 3, max_dollars=1.0)


@pytest.mark.skipif("avx512f" not in native().features, reason="the recorded kernel is written for AVX-512")
def test_a_recorded_conversation_beats_the_start_of_the_search(problem: Path, tmp_path: Path) -> None:
    """Played again with today's referee: the wrong first answer is found, its correction beats what the generator started with."""
    request = Request(
        str(problem), {}, 1, "agent", 0, ("eager",), model=f"replay/{HERE / 'gated_softmax.jsonl'}"
    )
    with Archive(tmp_path / "home") as archive:
        result = search(problem, request, budget_of(6, None), archive=archive)
        trials = archive.trials(result["run"])
        assert archive.turns(result["run"])
    start, _, wrong, *better = trials
    assert (start.candidate.proposer, wrong.evaluation.status) == ("heuristic", Status.WRONG)
    scores = [t.evaluation.score or 0.0 for t in better if t.candidate.proposer == "agent"]
    assert max(scores) > (start.evaluation.score or 0.0) and result["confirmed"]
    assert result["candidate"]["proposer"] in ("agent", "tuner")
    assert "written by replay/" in result["provenance"][0]["what"]
    assert load_problem(problem).name in Path(result["report"]).read_text()
