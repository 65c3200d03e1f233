"""The whole of `kerf verify`, as its users see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from designs import COUNTER, FIFO
from typer.testing import CliRunner

from kerf.archive import Archive
from kerf.cli import build
from kerf.core.types import KerfError
from kerf.verification import evaluator
from kerf.verification.problem import goals_of
from kerf.verification.verify import Request, verify


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERF_HOME", str(tmp_path / "home"))
    return tmp_path


def command(*words: str) -> tuple[int, dict[str, Any]]:
    said = CliRunner().invoke(build(), [*words, "--json"])
    return said.exit_code, json.loads(said.stdout.strip().splitlines()[-1])


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    path = tmp_path / "fifo.sv"
    claims = """
  a_ok: assert property (@(posedge clk) disable iff (rst) full |-> !empty);
  a_bad: assert property (@(posedge clk) disable iff (rst) !full);
endmodule"""
    path.write_text(FIFO.replace("\nendmodule", claims))
    return str(path)


def test_proved_refuted_explained(fifo: str) -> None:
    status, said = command("verify", fifo, "--goal", "prove", "--spec", "count <= 4")
    assert status == 0
    rows = {r["name"]: r for r in said["assertions"]}
    assert {n: r["verdict"] for n, r in rows.items()} == {
        "a_ok": "proved",
        "a_bad": "refuted",
        "spec1": "proved",
    }
    assert rows["a_bad"]["depth"] == 4 and len(rows["a_bad"]["trace"]) == 5
    assert rows["a_bad"]["source"].startswith(fifo)
    page = Path(said["report"]).read_text()
    assert "Counterexample of a_bad" in page and "<svg" in page and "<script" not in page
    status, because = command("why", "full")
    assert (because["at"], because["value"]) == (4, 1)
    assert [row.get("push") for row in because["needed"]] == ["1", "1", "1", "1", None]


def test_english_and_sva_in_a_file(fifo: str, tmp_path: Path) -> None:
    spec = tmp_path / "fifo.spec"
    spec.write_text("# what a FIFO owes\nfull |-> !empty\n\nempty |-> count == 0\n")
    _, said = command("verify", fifo, "--goal", "prove", "--spec", str(spec))
    assert [r["verdict"] for r in said["assertions"] if r["name"].startswith("spec")] == ["proved", "proved"]


def test_a_vacuous_property_is_said_to_be(fifo: str) -> None:
    _, said = command("verify", fifo, "--goal", "prove", "--spec", "count == 7 |-> full")
    (row,) = (r for r in said["assertions"] if r["name"] == "spec1")
    assert row["verdict"] == "proved" and row["vacuous"] is True


def test_tests_are_scored_by_mutants(tmp_path: Path) -> None:
    path = tmp_path / "counter.v"
    path.write_text(COUNTER)
    weak, strong = tmp_path / "weak.csv", tmp_path / "strong.csv"
    weak.write_text("rst_n,go,n\n0,0,0\n1,0,0\n1,0,0\n")
    rows = [(1, min(t, 9) if t < 10 else t - 10) for t in range(16)]
    strong.write_text("rst_n,go,n\n0,0,0\n" + "".join(f"1,{go},{n}\n" for go, n in rows))
    scores = []
    for table in (weak, strong):
        _, said = command("verify", str(path), "--goal", "mutate", "--test", str(table))
        assert said["mutants"]["tests"] == "given"
        scores.append(said["mutants"]["killed"])
    assert scores[0] < scores[1]


def test_a_killed_run_goes_on_with_what_it_had_decided(fifo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the second task: the first is not done again."""
    tried: list[str] = []
    once = evaluator.VerificationEvaluator._prove

    def dying(self: evaluator.VerificationEvaluator, asked: dict[str, str]) -> Any:
        tried.append(asked["name"])
        if len(tried) == 2:
            raise KeyboardInterrupt
        return once(self, asked)

    monkeypatch.setattr(evaluator.VerificationEvaluator, "_prove", dying)
    first = verify(Request((fifo,), goal="prove"))
    assert first["status"] == "interrupted" and first["assertions"][1]["verdict"] == "undecided"
    with Archive() as archive:
        run = archive.run("last").id
    status, said = command("resume", run)
    assert status == 0 and said["run"] == run
    assert [r["verdict"] for r in said["assertions"]] == ["proved", "refuted"]
    assert tried[2] == tried[1]


def test_what_cannot_be_asked_is_refused(fifo: str, tmp_path: Path) -> None:
    with pytest.raises(KerfError, match="the goals are"):
        goals_of("prove,everything")
    status, said = command("verify", str(tmp_path / "nowhere.sv"))
    assert status == 2 and "cannot read" in said["error"]
    status, said = command("verify", fifo, "--minutes", "0")
    assert status == 2 and "positive" in said["error"]
    status, said = command("why", "full")
    assert status == 2


def test_two_designs(fifo: str, tmp_path: Path) -> None:
    other = tmp_path / "other.sv"
    other.write_text(Path(fifo).read_text().replace("empty = count == 0", "empty = !(|count)"))
    assert command("equiv", fifo, str(other))[1]["verdict"] == "equal"
    other.write_text(Path(fifo).read_text().replace("full  = count == D", "full = count >= D - 1"))
    status, said = command("equiv", fifo, str(other))
    assert status == 0 and said["verdict"] == "different" and said["outputs"] == ["full"]


def test_a_design_cannot_write_into_the_page(tmp_path: Path) -> None:
    path = tmp_path / "m.sv"
    path.write_text(
        'module m(input clk, input a); x: assert property (@(posedge clk) a) else $error("<script>alert(1)</script>"); endmodule'
    )
    _, said = command("verify", str(path), "--goal", "prove", "--spec", 'a || "<script>" == 3')
    if "report" in said:
        assert "<script>" not in Path(said["report"]).read_text()


def test_every_bin_of_the_example_is_decided_under_its_assumptions(fifo: str) -> None:
    _, free = command("verify", fifo, "--goal", "cover")
    assert free["coverage"]["undecided"] == 0 and free["coverage"]["unreachable"] == 0
    _, said = command("verify", fifo, "--goal", "cover", "--spec", "assume property (@(posedge clk) !push)")
    assert said["coverage"]["undecided"] == 0 and said["coverage"]["unreachable"] > 0


def test_mined_assertions_hold(fifo: str) -> None:
    """Each is proved once more, as anybody's assertion."""
    _, said = command("verify", fifo, "--goal", "mine")
    properties = [m["sva"] for m in said["mined"]]
    assert properties
    words = [w for p in properties for w in ("--spec", p)]
    _, again = command("verify", fifo, "--goal", "prove", *words)
    assert {r["verdict"] for r in again["assertions"] if r["name"].startswith("spec")} == {"proved"}


def test_a_sentence_is_judged(fifo: str) -> None:
    _, said = command("assert", "count never exceeds 4", fifo)
    assert said["verdict"] == "proved" and "count > 4" in said["sva"] and said["name"] == "spec1"
    _, said = command("assert", "full and empty are never both high", fifo)
    assert said["verdict"] == "proved"
    _, said = command("assert", "whenever push then ful within 2 cycles", fifo)
    assert said["verdict"] == "refuted" and said["resolved"]
    status, said = command("assert", "bananas are yellow", fifo)
    assert status == 2 and "not understood" in said["error"]


def test_a_run_is_exported_for_other_tools(fifo: str, tmp_path: Path) -> None:
    """Without a winner too: what was refuted is what people want to see."""
    command("verify", fifo, "--goal", "prove,cover")
    status, said = command("export", "last", "--out", str(tmp_path / "out"))
    folder = Path(said["path"])
    assert status == 0 and "$enddefinitions" in (folder / "counterexamples/a_bad.vcd").read_text()
    rows = (folder / "counterexamples/a_bad.csv").read_text().splitlines()
    assert rows[-1].split(",")[rows[0].split(",").index("full")] == "1"
    assert "module" in (folder / "stimulus/fifo_tb.sv").read_text()
    assert "cocotb" in (folder / "stimulus/test_fifo.py").read_text()
    table = next((folder / "stimulus").glob("run1.csv"))
    _, again = command("verify", fifo, "--goal", "mutate", "--test", str(table))
    assert again["mutants"]["tests"] == "given" and again["mutants"]["killed"] > 0


def test_a_repair_is_written_and_holds(tmp_path: Path) -> None:
    broken = tmp_path / "counter.v"
    broken.write_text(COUNTER.replace("4'd9 ?", "4'd8 ?"))
    golden = tmp_path / "golden.v"
    golden.write_text(COUNTER)
    assert command("equiv", str(golden), str(broken))[1]["verdict"] == "different"
    status, said = command(
        "repair", str(broken), "--reference", str(golden), "--out", str(tmp_path / "mended"), "--most", "1"
    )
    assert status == 0 and said["repairs"][0]["status"] == "proved" and "+" in said["repairs"][0]["diff"]
    assert command("equiv", str(golden), said["written"][0])[1]["verdict"] == "equal"
