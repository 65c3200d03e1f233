"""The whole path: a module or a file in, a judged drop-in out; and what happens when it is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

import kerf
from kerf.archive import Archive
from kerf.cli import build
from kerf.core.records import Outcome, Stop
from kerf.core.types import Budget, Candidate, Evaluation, KerfError, Metric, Status
from kerf.kernels.build import library_candidate
from kerf.kernels.problem import load_problem
from kerf.kernels.search import Request, Search, search, settled
from kerf.kernels.verbs import parse_sizes
from kerf.proposers.first import First

TEXT = """
import torch
from torch import nn

rows = 48
columns = 96


class Model(nn.Module):
    def __init__(self, columns):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(columns))

    def forward(self, x):
        return torch.softmax(x * self.weight, dim=1)


def get_inputs():
    return [torch.randn(rows, columns)]


def get_init_inputs():
    return [columns]
"""


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    path = tmp_path / "scaled_softmax.py"
    path.write_text(TEXT)
    return path


def run(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KERF_HOME": str(tmp_path / "home")}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "kerf.cli", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_a_file_becomes_a_judged_drop_in(problem: Path, tmp_path: Path) -> None:
    said = run(
        tmp_path,
        "optimize",
        str(problem),
        "--evaluations",
        "3",
        "--threads",
        "1",
        "--set",
        "rows=33",
        "--json",
    )
    assert said.returncode == 0, said.stderr
    result = json.loads(said.stdout.splitlines()[-1])
    assert result["status"] == "passed" and result["evaluations"] == 3 and result["confirmed"]
    assert {"eager", "compile", "onednn"} == set(result["speedup"]) and result["speedup"]["eager"]["low"] > 0
    folder = Path(result["candidate"]["path"]).parent
    assert "ModelNew" in (folder / "kernel.py").read_text()
    assert "33" in Path(result["evidence"]).read_text()
    assert Path(result["report"]).read_text().startswith("<!doctype html>")
    again = run(tmp_path, "evaluate", str(folder / "kernel.py"), str(problem), "--set", "rows=33", "--json")
    judged = json.loads(again.stdout.splitlines()[-1])
    assert judged["status"] == "passed" and judged["error"]["max"] <= judged["error"]["tolerance"]
    replayed = run(tmp_path, "replay", judged["evidence"], "--json")
    assert json.loads(replayed.stdout.splitlines()[-1])["same"]


def test_a_wrong_candidate_is_a_verdict_and_a_missing_file_a_mistake(problem: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(TEXT.replace("class Model", "class ModelNew").replace("dim=1", "dim=0"))
    said = run(tmp_path, "evaluate", str(wrong), str(problem), "--json")
    assert said.returncode == 0
    assert json.loads(said.stdout.splitlines()[-1])["status"] == "wrong"
    for words in (
        ["optimize", "nowhere.py"],
        ["evaluate", "nowhere.py", str(problem)],
        ["optimize", str(problem), "--set", "columsn=3"],
    ):
        said = run(tmp_path, *words)
        assert said.returncode == 2 and said.stderr.strip() and "Traceback" not in said.stderr


def test_a_killed_run_goes_on(problem: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "KERF_HOME": str(tmp_path / "home")}
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "kerf.cli",
        "optimize",
        str(problem),
        "--evaluations",
        "400",
        "--threads",
        "1",
    ]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    done = 0
    while done < 2 and time.monotonic() < deadline:
        time.sleep(0.3)
        with Archive(tmp_path / "home") as archive:
            done = sum(len(archive.trials(r.id)) for r in archive.runs())
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert done >= 2, "nothing was measured within two minutes"
    with Archive(tmp_path / "home") as archive:
        run_id = archive.runs()[0].id
        before = len(archive.trials(run_id))
    said = run(tmp_path, "resume", run_id, "--evaluations", str(before + 1), "--json")
    result = json.loads(said.stdout.splitlines()[-1])
    assert result["run"] == run_id and result["status"] == "passed" and result["evaluations"] >= before + 1


def test_a_module_that_no_generator_can_follow_says_so(tmp_path: Path) -> None:
    class Depends(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if float(x.sum()) > 0 else x

    with Archive(tmp_path) as archive, pytest.raises(KerfError, match="values of tensors"):
        kerf.optimize(Depends(), [torch.ones(3)], evaluations=2, threads=1, archive=archive)


def test_a_file_that_no_generator_can_follow_keeps_the_library(tmp_path: Path) -> None:
    path = tmp_path / "depends.py"
    path.write_text(
        TEXT.replace(
            "return torch.softmax(x * self.weight, dim=1)", "return x * (2.0 if float(x.sum()) > 0 else 3.0)"
        )
    )
    with Archive(tmp_path / "home") as archive:
        result = search(
            str(path),
            Request(str(path), {}, 1, "portfolio", 0, baselines=("eager",)),
            Budget(2, None),
            archive=archive,
        )
    assert result["provenance"][0]["by"] == "library" and "torch.export" in result["note"]


@pytest.mark.parametrize(
    ("winner", "library", "kept"),
    [
        ((0.93, 1.5), (1.0, 1.6), "library"),
        ((1.04, 1.5), (1.0, 1.4), "heuristic"),
        ((1.01, 0.75), (0.99, 0.9), "library"),  # torch.compile is the fastest of the baselines
        ((0.97, 0.75), (1.0, 0.7), "heuristic"),
    ],
)
def test_a_winner_further_from_the_fastest_baseline_than_the_code_as_it_is_gives_way_to_it(
    problem: Path, tmp_path: Path, winner: tuple[float, float], library: tuple[float, float], kept: str
) -> None:
    class Confirms:
        def confirm(self, candidate: Candidate) -> Evaluation:
            return verdict(library)

    def verdict(over: tuple[float, float]) -> Evaluation:
        metrics = {
            f"speedup.{n}": Metric(v, "x", v - 0.05, v + 0.05, better="higher")
            for n, v in zip(("eager", "compile"), over, strict=True)
        }
        return Evaluation(Status.PASSED, score=min(over) - 0.05, metrics=metrics)

    loaded = load_problem(str(problem), {})
    assert library_candidate(loaded) is not None
    with Archive(tmp_path / "home") as archive:
        found = Search(Request(str(problem), {}, 1, "random", 0), loaded, None, "", Confirms(), archive)  # type: ignore[arg-type]
        best = Candidate({"kernel.py": "slow"}, proposer="heuristic")
        run = archive.begin(loaded, "key", "random", 0, Budget(1, None), {})
        outcome = Outcome(run, best, verdict(winner), True, 1, 0, 1.0, Stop.BUDGET)
        assert (answer := settled(found, outcome).best) and answer.proposer == kept


def test_given_candidates_come_first_and_the_rest_hears_of_them() -> None:
    heard: list[str] = []

    class Rest:
        name = "rest"

        def ask(self, n: int) -> list[Candidate]:
            return [Candidate({"a": "3"})]

        def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
            heard.append(candidate.id)

    mine, library = Candidate({"a": "1"}, notes={"point": {}}), Candidate({"a": "2"}, notes={"point": None})
    proposer = First([mine, library], Rest(), "rest")
    assert proposer.ask(4) == [mine, library] and proposer.ask(4) == [Candidate({"a": "3"})]
    for candidate in (mine, library):
        proposer.tell(candidate, Evaluation(Status.WRONG))
    assert heard == [mine.id]


def test_sizes_on_the_command_line() -> None:
    assert parse_sizes(["a=3", "b=0.5", "c[1]=7", "d=x"]) == {"a": 3, "b": 0.5, "c[1]": 7, "d": "x"}
    with pytest.raises(KerfError, match="NAME=VALUE"):
        parse_sizes(["three"])


def test_help_is_quick_because_it_imports_no_machinery() -> None:
    code = "import sys, kerf.cli; kerf.cli.build(); print([m for m in ('torch', 'numpy', 'kerf.archive') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
    assert {c.name for c in build().registered_commands} >= {
        "optimize",
        "evaluate",
        "audit",
        "redteam",
        "resume",
        "doctor",
        "prune",
    }
