"""Answers graded against references."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from kerf.core.types import KerfError
from kerf.verification.judge import Grade, judge, judge_assertions
from kerf.verification.judge import verilog as judging
from kerf.verification.judge.testbench import Run

REFERENCE = "module RefModule(input clk, input d, output reg q); always @(posedge clk) q <= d; endmodule"
ANSWERS = {
    "Prob1_dff_sample1": REFERENCE.replace("RefModule", "TopModule").replace("q <= d", "q <= !(!d)"),
    "Prob1_dff_sample2": REFERENCE.replace("RefModule", "TopModule").replace("q <= d", "q <= !d"),
    "Prob1_dff_sample3": "module TopModule(input clk, input d, output reg q) always",
    "Prob1_dff_sample4": "module TopModule(input clk, input d, output y); assign y = d; endmodule",
    "Prob11_other": "module TopModule(input a, output y); assign y = a; endmodule",
}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    references, answers = tmp_path / "ref", tmp_path / "given" / "Prob1_dff"
    references.mkdir()
    answers.mkdir(parents=True)
    (references / "Prob1_dff_ref.sv").write_text(REFERENCE)
    (references / "Prob11_other_ref.sv").write_text(
        "module RefModule(input a, output y); assign y = a; endmodule"
    )
    (references / "Prob1_dff_test.sv").write_text("module tb; endmodule")
    for name, text in ANSWERS.items():
        (answers / f"{name}.sv").write_text(text)
    return references, answers.parent


def test_answers_are_graded_by_proof(folders: tuple[Path, Path]) -> None:
    grades = {Path(g.answer).stem: g for g in judge(*folders, testbenches=False)}
    assert {n.rpartition("_")[2]: g.grade for n, g in grades.items()} == {
        "sample1": Grade.PROVED,
        "sample2": Grade.DIFFERENT,
        "sample3": Grade.BROKEN,
        "sample4": Grade.BROKEN,
        "other": Grade.PROVED,
    }
    assert "q is 0/1" in grades["Prob1_dff_sample2"].why or "q is 1/0" in grades["Prob1_dff_sample2"].why
    assert "output q is missing" in grades["Prob1_dff_sample4"].why


def test_a_testbench_is_asked_where_there_is_no_proof(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def simulate(files: list[Path]) -> Run:
        asked.append(files[-1].stem)
        return Run.PASSED

    monkeypatch.setattr(judging, "simulate", simulate)
    grades = {Path(g.answer).stem: g.grade for g in judge(*folders)}
    assert asked == [
        "Prob1_dff_sample2",
        "Prob1_dff_sample4",
    ]  # the proved one needs none, the broken one has none
    assert grades["Prob1_dff_sample2"] is Grade.PASSED


def test_nothing_to_grade_is_said(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    with pytest.raises(KerfError, match="no references"):
        list(judge(tmp_path, tmp_path))
    (tmp_path / "none").mkdir()
    with pytest.raises(KerfError, match="no answers"):
        list(judge(folders[0], tmp_path / "none"))


TESTBENCH = "module t(input clk, input a, b); endmodule"
ASSERTIONS = [
    ("1", "a |=> b", "```systemverilog\nassert property (@(posedge clk) a |-> ##1 b);\n```", "equivalent"),
    ("2", "a |-> b", "assert property (@(posedge clk) b);", "answer implies reference"),
    ("3", "a && b", "assert property (@(posedge clk) a);", "reference implies answer"),
    ("4", "a |-> b", "assert property (@(posedge clk) a |-> ##1 b);", "different"),
    ("5", "a |-> b", "assert property (@(posedge clk) a |-> c);", "broken"),
]


def test_assertions_are_graded_by_proof(tmp_path: Path) -> None:
    with (tmp_path / "asked.csv").open("w") as asked, (tmp_path / "given.csv").open("w") as given:
        left, right = csv.writer(asked), csv.writer(given)
        left.writerow(["task_id", "ref_solution", "testbench"])
        right.writerow(["task_id", "response"])
        for task, reference, answer, _ in ASSERTIONS:
            left.writerow([task, f"assert property (@(posedge clk) {reference});", TESTBENCH])
            right.writerow([task, answer])
    found = list(judge_assertions(tmp_path / "asked.csv", tmp_path / "given.csv"))
    assert [(g.task, g.verdict) for g in found] == [(task, verdict) for task, _, _, verdict in ASSERTIONS]
    assert "c" in found[-1].why
    with pytest.raises(KerfError, match="response"):
        list(judge_assertions(tmp_path / "asked.csv", tmp_path / "asked.csv"))
