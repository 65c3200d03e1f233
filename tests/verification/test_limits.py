"""What `kerf verify` does with little time, little room, or another of its kind beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from designs import FIFO, design

from kerf.archive import Archive
from kerf.verification import abc, kept
from kerf.verification.deadline import OutOfTime
from kerf.verification.evaluator import VerificationEvaluator
from kerf.verification.scratch import NoRoom, room
from kerf.verification.synthesis import synthesize
from kerf.verification.verify import Request, verify

CLAIMS = """
  a_ok: assert property (@(posedge clk) disable iff (rst) full |-> !empty);
  a_bad: assert property (@(posedge clk) disable iff (rst) !full);
endmodule"""

LIMITED = """import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
from kerf.cli import main
sys.argv = ["kerf", "verify", {path!r}, "--goal", "prove", "--json"]
main()
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERF_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    path = tmp_path / "fifo.sv"
    path.write_text(FIFO.replace("\nendmodule", CLAIMS))
    return str(path)


def said_of(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    out, errors = process.communicate(timeout=120)
    return json.loads(out.strip().splitlines()[-1]), errors


def kerf(program: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", program], stdout=pipe, stderr=pipe, text=True)


# Time


def test_synthesis_that_takes_too_long_is_stopped() -> None:
    text = """module m(input clk, input [31:0] a, b, output reg [63:0] p);
      always @(posedge clk) p <= a * {32'd0, b} / a % b + b / a; endmodule"""
    begun = time.monotonic()
    with pytest.raises(OutOfTime, match="--minutes"):
        synthesize(design(text), timeout_s=0.5)
    assert time.monotonic() - begun < 2.0


def test_what_ran_out_of_time_is_asked_again(fifo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(self: VerificationEvaluator, asked: dict[str, str]) -> Any:
        raise OutOfTime("the time was up")

    request = Request((fifo,), goal="cover", minutes=0.2)
    with monkeypatch.context() as patch:
        patch.setattr(VerificationEvaluator, "_cover", slow)
        assert verify(request)["notes"][-1] == "cover: the time was up"
    assert verify(request)["coverage"]["covered"] > 0


def test_what_was_answered_is_not_asked_again(fifo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request((fifo,), goal="cover", minutes=0.2)
    first = verify(request)["coverage"]
    monkeypatch.setattr(VerificationEvaluator, "_cover", lambda self, asked: pytest.fail("asked again"))
    assert verify(request)["coverage"] == first


# Two at once


def test_two_at_once_share_an_archive_and_its_graphs(fifo: str, home: Path) -> None:
    words = ["kerf", "verify", fifo, "--goal", "prove", "--json"]
    both = [kerf(f"import sys; sys.argv = {words!r}; from kerf.cli import main; main()") for _ in range(2)]
    found = [said_of(p)[0] for p in both]
    for said in found:
        assert [r["verdict"] for r in said["assertions"]] == ["proved", "refuted"]
    assert found[0]["run"] != found[1]["run"]
    with Archive() as archive:
        assert {r.id for r in archive.runs()} == {f["run"] for f in found}
        assert all(len(archive.trials(f["run"])) == 2 for f in found)


def test_many_writers_of_one_graph_leave_it_whole(home: Path) -> None:
    made = synthesize(design(FIFO))
    wrong: list[object] = []

    def work() -> None:
        for _ in range(20):
            kept.keep("one", made.netlist, made.stepped, made.notes)
            if kept.recall("one") != (made.netlist, made.stepped, made.notes):
                wrong.append("torn")

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong
    assert len(list((home / "home").rglob("graphs/*"))) == 1


# A full disk


@pytest.mark.parametrize("size", [1_000, 20_000, 120_000])
def test_a_full_disk_is_told_as_one(fifo: str, home: Path, size: int) -> None:
    """Full for the design, for what synthesis makes of it, for the archive."""
    said, errors = said_of(kerf(LIMITED.format(size=size, path=fifo)))
    assert said["status"] == "error" and "Traceback" not in errors
    assert ("Free space" in said["error"] and "TMPDIR" in said["error"]) or "KERF_HOME" in said["error"]
    found = verify(Request((fifo,), goal="prove"))
    assert [r["verdict"] for r in found["assertions"]] == ["proved", "refuted"]


def test_no_part_of_a_graph_is_left_on_a_full_disk(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = synthesize(design(FIFO))
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "from kerf.verification import kept; from kerf.verification.netlist import Netlist\n"
        "from kerf.verification.graph import Graph\n"
        "kept.keep('k', Netlist(Graph(), (), (), ('name',) * 1000), False, ())\n"
    )
    assert kerf(program).wait(60) == 0
    assert not [p for p in (home / "home").rglob("*") if p.is_file()]
    kept.keep("k", made.netlist, made.stepped, made.notes)
    assert kept.recall("k") is not None


def test_half_an_invariant_is_no_invariant(tmp_path: Path) -> None:
    file = tmp_path / "invariant.pla"
    file.write_text(".i 2\n.ilb f0 f1\n01 1\n.e\n")
    assert len(abc.invariant(file)) == 1
    file.write_text(".i 2\n.ilb f0 f1\n0")
    with pytest.raises(NoRoom, match="TMPDIR"), room():
        abc.invariant(file)
