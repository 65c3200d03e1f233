"""Whole runs of `kerf place` with a model: over real HTTP, with everything that goes wrong there; killed and gone on with; and a recorded
conversation in which the model's placement beats the search's start."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_chip import chip
from typer.testing import CliRunner

from kerf.archive import Archive
from kerf.cli import build
from kerf.core.types import KerfError, Status
from kerf.placement.course import Course
from kerf.placement.design import Placement
from kerf.placement.formats import bookshelf
from kerf.placement.place import Placed, place_files
from kerf.placement.proposal import proposal_of
from kerf.placement.render import place as place_text
from kerf.placement.search import Request
from kerf.runs import resume

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from server import Cut, Fault, ScriptedServer, Turn

HERE = Path(__file__).parent
RECORDED = HERE / "mesh_placement.jsonl"


def proposes(**said: Any) -> Turn:
    return Turn("a reason", calls=[("evaluate", {"idea": "shorter", **said})])


def stand(cell: str, left: float, bottom: float) -> dict[str, Any]:
    return {"cell": cell, "left": left, "bottom": bottom}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-planted-openai-000000")
    monkeypatch.setenv("KERF_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    bookshelf.write(tmp_path / "small.aux", chip(), chip().initial)
    yield tmp_path


def placed(
    home: Path, model: str, evaluations: int | None, watch: Any = lambda _: None, **more: Any
) -> Placed:
    asked = Request(design=str(home / "small.aux"), threads=1, model=model, evaluations=evaluations)
    return place_files(replace(asked, **{"proposer": "agent", **more}), watch)


def test_over_http_a_run_ends_in_budget_with_the_best_kept(home: Path) -> None:
    script = [
        Fault(429, retry_after=0.01),
        Cut(proposes(way="refine"), events=3),
        Turn("", calls=[("evaluate", '{"way": "cells", "macros": [')]),
        proposes(way="cells", macros=[stand("ram_0", 40, 3)]),  # outside the user's region
        proposes(way="cells", macros=[stand("ram_0", 48, 3)], constraints=["region ram_0 30 0 60 60"]),
        proposes(way="cells", macros=[stand("ram_0", 12, 21), stand("ram_1", 12, 33)]),
        Turn("garbage ```json\n{\n``` and more"),
        proposes(way="refine", base="c2", recipe={"seed": 5}),
        proposes(way="refine", base="c2", recipe={"seed": 5}),
    ]
    never_stops = itertools.repeat(Turn("again", calls=[("macros", {})]))
    said: list[Any] = []
    with ScriptedServer(itertools.chain(script, never_stops)) as server:
        found = placed(
            home,
            server.openai,
            20,
            said.append,
            constraints=("region ram_0 0 0 30 60",),
            price="1,2",
            max_dollars=9.0,
        )
        asked = "\n".join(json.dumps(r.body) for r in server.requests)
    report = found.report
    assert found.legal and report["violations"] == [] and report["stopped"] == "exhausted"
    with Archive() as archive:
        trials, turns = archive.trials(report["run"]), archive.turns(report["run"])
    assert [t.candidate.proposer for t in trials] == ["heuristic", "agent", "agent"]
    assert all(t.evaluation.status is Status.PASSED for t in trials)
    best = max(trials, key=lambda t: t.evaluation.score or 0.0)
    assert report["hpwl"] == pytest.approx(best.evaluation.metrics["hpwl"].value)
    for heard in (
        "no JSON object",
        "conflicts with `region ram_0 0 0 30 60`",
        "not evaluated: but for",
        "must call `evaluate`",
    ):
        assert heard in asked, heard
    assert report["model"]["turns"] == len(turns) and report["model"]["dollars"] > 0
    assert f"{len(turns)} turns" in place_text(report)
    assert any("submits a candidate: shorter" in getattr(m, "text", "") for m in said)
    page = Path(report["report"]).read_text()
    assert "What the model said" in page and "ram_1" in page
    for path in (home / "home").rglob("*"):
        assert not path.is_file() or b"planted" not in path.read_bytes(), path


def test_beside_a_search_both_propose_and_what_is_left_open_is_searched(home: Path) -> None:
    script = [
        proposes(way="anew", recipe={"density": [0.4, 0.7, 0.9]}),
        proposes(way="refine", recipe={"seed": 7}),
    ]
    with ScriptedServer(itertools.chain(script, itertools.repeat(Turn("I am done.")))) as server:
        found = placed(home, server.openai, 9, proposer="random")
    with Archive() as archive:
        by = [t.candidate.proposer for t in archive.trials(found.report["run"])]
    assert (
        by[:3] == ["heuristic", "random", "random"]
        and set(by[3:]) == {"agent", "tuner", "random"}
        and len(by) == 9
    )
    assert found.report["stopped"] == "budget"


def test_recipes_can_be_counted_without_a_model_and_more_of_them_later(home: Path) -> None:
    report = placed(home, "", 2, proposer="random").report
    assert (report["recipes"], report["stopped"]) == (2, "budget") and "model" not in report
    again = resume(report["run"], evaluations=3)
    assert again["recipes"] == 3 and again["hpwl"] <= report["hpwl"] and again["run"] == report["run"]


def test_what_breaks_a_rule_is_told_and_never_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever went wrong in a stage: the check knows nothing of how a placement was made."""
    real = Course.run

    def run(course: Course) -> Placement:
        found: Placement = real(course)
        if course.recipe.seed == 666:
            found.x[0], found.y[0] = found.x[1], found.y[1]
        return found

    monkeypatch.setattr(Course, "run", run)
    script = [proposes(way="refine", recipe={"seed": 666}), proposes(way="refine", recipe={"seed": 3})]
    with ScriptedServer(script) as server:
        found = placed(home, server.openai, 3)
        told = json.dumps(server.requests[-1].body)
    assert found.legal and "candidate c2: wrong" in told and "no two hard objects overlap" in told
    with Archive() as archive:
        statuses = [t.evaluation.status for t in archive.trials(found.report["run"])]
    assert statuses == [Status.PASSED, Status.WRONG, Status.PASSED]


def test_ceilings_hold_and_are_raised_by_resuming(home: Path) -> None:
    first = replace(proposes(way="refine", recipe={"seed": 1}), usage=(60_000, 20, 0))
    more = [proposes(way="refine", recipe={"seed": s}) for s in (2, 3, 4, 5)]
    with ScriptedServer([first, *more]) as server:
        report = placed(home, server.openai, 4, max_tokens=60_000).report
        assert report["model"]["turns"] == 1 and "ceiling" in report["model"]["stopped"] and report["legal"]
        assert f"kerf resume {report['run']} --max-tokens N" in place_text(report)
        asked = len(server.requests)
        again = resume(report["run"], max_tokens=1_000_000)
    assert len(server.requests) == asked + 2 and again["model"]["turns"] == 3 and again["stopped"] == "budget"
    assert again["hpwl"] <= report["hpwl"]
    with Archive() as archive:
        assert archive.run(again["run"]).options["max_tokens"] == 1_000_000, "it holds from now on"


def test_minutes_hold_with_a_model_and_the_rest_goes_into_the_best(home: Path) -> None:
    seeds = (proposes(way="refine", recipe={"seed": s}) for s in itertools.count(1))
    with ScriptedServer(seeds) as server:
        began = time.monotonic()
        found = placed(home, server.openai, None, minutes=0.25)
        assert time.monotonic() - began < 25.0
    assert found.legal and found.report["model"]["turns"] >= 1
    with Archive() as archive:
        assert archive.trials(found.report["run"])[1].candidate.proposer == "agent"


def test_killed_in_a_call_and_in_an_evaluation_it_pays_for_no_turn_twice(home: Path) -> None:
    script = [
        proposes(way="refine", recipe={"seed": 1}),
        Turn("let me think " * 100, pieces=100, pause_s=0.1),
        proposes(way="cells", base="c2", macros=[stand("ram_1", 30, 30)]),
        proposes(way="refine", recipe={"seed": 2}),
    ]

    def begun(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-W", "ignore", *words], stdout=subprocess.PIPE, text=True)

    def kill_when(process: subprocess.Popen[str], so_far: Callable[[], bool]) -> None:
        while not so_far():
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        process.kill()
        process.communicate()

    with ScriptedServer(script) as server, Archive() as archive:
        words = [
            "-m",
            "kerf.cli",
            "place",
            str(home / "small.aux"),
            "--proposer",
            "agent",
            "--threads",
            "1",
            "--evaluations",
            "4",
        ]
        kill_when(
            begun(*words, "--model", server.openai, "-o", str(home / "out.pl")),
            lambda: len(server.requests) == 2,
        )
        [run] = archive.runs(2)
        before = archive.trials(run.id)
        assert [t.candidate.proposer for t in before] == ["heuristic", "agent"] and len(
            archive.turns(run.id)
        ) == 1
        kill_when(begun("-m", "kerf.cli", "resume", run.id), lambda: len(archive.turns(run.id)) == 2)
        assert archive.trials(run.id)[:2] == before
        result = resume(run.id)
        trials = archive.trials(run.id)
    assert len(server.requests) == 4, "asked again: only what had no answer"
    assert len(trials) == 4 and trials[:2] == before and result["model"]["turns"] == 3
    assert proposal_of(trials[2].candidate.files).base == before[1].candidate.id and result["legal"]


AGENT = """#!{python}
import json, pathlib, time
assert "ram_1" in pathlib.Path("TASK.md").read_text() and pathlib.Path("base/recipe.json").exists()
for name, said in (("out", {{"way": "cells", "macros": [{{"cell": "ram_0", "left": 90, "bottom": 0}}]}}), ("seed", {{"way": "refine", "recipe": {{"seed": 3}}}})):
    folder = pathlib.Path("candidates") / name
    folder.mkdir()
    (folder / "proposal.json").write_text(json.dumps(said))
    (folder / "DONE").touch()
    verdict = pathlib.Path("verdicts") / (name + ".md")
    while not verdict.exists():
        time.sleep(0.05)
"""


def test_a_coding_agent_hands_in_proposals_as_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = home / "bin" / "claude"
    script.parent.mkdir()
    script.write_text(AGENT.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")
    monkeypatch.setattr("kerf.proposers.agent.headless.POLL_S", 0.05)
    report = placed(home, "", 5, proposer="claude-code").report
    verdicts = Path(report["model"]["workspace"]) / "verdicts"
    assert (
        report["legal"]
        and report["recipes"] == 2
        and "conflicts with the die" in (verdicts / "out.md").read_text()
    )
    assert "passed, HPWL" in (verdicts / "seed.md").read_text()


def test_a_stop_does_not_wait_for_a_model_that_thinks(home: Path) -> None:
    slow = Turn("let me think " * 100, pieces=300, pause_s=0.1)
    words = ["-m", "kerf.cli", "place", str(home / "small.aux"), "--proposer", "agent", "--threads", "1", "-o", str(home / "out.pl")]  # fmt: skip
    with ScriptedServer([slow, proposes(way="refine")]) as server:
        process = subprocess.Popen([sys.executable, *words, "--model", server.openai], stdout=subprocess.PIPE, text=True)  # fmt: skip
        while len(server.requests) < 1:
            assert process.poll() is None, "it ended before it could be stopped"
            time.sleep(0.05)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert time.monotonic() - began < 15.0 and process.returncode == 0, said
    assert "Stopped early. Go on with: kerf resume" in said and (home / "out.pl").exists()


def test_what_cannot_begin_says_so(home: Path) -> None:
    with pytest.raises(KerfError, match="needs a language model: add --model"):
        placed(home, "", 3)
    with pytest.raises(KerfError, match=r"price of openai/nobody-knows@.*--price IN,OUT"):
        placed(home, "openai/nobody-knows@http://127.0.0.1:1/v1", 3, max_dollars=1.0)
    with pytest.raises(KerfError, match="--evaluations takes a positive number"):
        from kerf.placement.verbs import place

        place("example", evaluations=0)


def test_a_recorded_conversation_beats_the_start_of_the_search(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped example, from the command line: the same proposals, measured again here."""
    monkeypatch.chdir(home)
    words = ["place", "example", "--model", f"replay/{RECORDED}", "--proposer", "agent", "--evaluations", "3"]
    said = CliRunner().invoke(build(), [*words, "--threads", "1", "-o", "mesh.pl", "--json"])
    assert said.exit_code == 0, said.output
    result = json.loads(said.stdout)
    with Archive() as archive:
        trials = archive.trials(result["run"])
    start, *own = [t.evaluation.metrics["hpwl"].value for t in trials if t.evaluation.score is not None]
    assert trials[0].candidate.proposer == "heuristic" and min(own) < 0.993 * start
    assert result["status"] == "legal" and result["hpwl"] <= min(own) * (1 + 1e-9)
    assert result["proposal"]["macros"] and result["model"]["turns"] >= 3
