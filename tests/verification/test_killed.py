"""`kerf verify` killed without warning: what it had decided stays decided, and nothing that it started lives on."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

# no two factors of 32 bits make this prime, which no engine proves in minutes
SLOW = """module m(input clk, input [31:0] a, b, output reg [63:0] p, output reg prime);
  initial begin p = 0; prime = 0; end
  always @(posedge clk) begin p <= a * {32'd0, b}; prime <= p == 64'h800000000000001d; end
  slow: assert property (@(posedge clk) !prime);
endmodule
"""


def begin(home: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kerf.cli", *words, "--json"]
    env = os.environ | {"KERF_HOME": str(home)}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(p) for p in children.read_text().split()] if children.exists() else []
    return found + [d for c in found for d in descendants(c)]


def lives(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def until(what: object, seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():  # type: ignore[operator]
            return True
        time.sleep(0.01)
    return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_nothing_outlives_a_killed_run(tmp_path: Path) -> None:
    path = tmp_path / "slow.sv"
    path.write_text(SLOW)
    run = begin(tmp_path / "home", "verify", str(path), "--goal", "prove", "--minutes", "2", "--reset", "")
    abc = lambda: any("abc" in _name(p) for p in descendants(run.pid))  # noqa: E731
    assert until(abc, 60.0)
    started = descendants(run.pid)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert until(lambda: not any(map(lives, started)), 5.0)


def _name(pid: int) -> str:
    file = Path(f"/proc/{pid}/comm")
    return file.read_text() if file.exists() else ""


CLAIMS = 16
COUNTER = (
    "module m(input clk, rst, go, output reg [4:0] n);\n  always @(posedge clk) if (rst) n <= 0; else if (go) n <= n == 9 ? 0 : n + 1;\n"
    + "".join(f"  c{k}: assert property (@(posedge clk) n != {k});\n" for k in range(CLAIMS))
    + "endmodule\n"
)


def decided(home: Path) -> list[tuple[int, str]]:
    """What the archive holds of the run, confirmations apart: each evaluation's number and its candidate."""
    file = home / "archive.sqlite"
    if not file.exists():
        return []
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as archive:
            first = "SELECT id, candidate FROM evaluations WHERE key NOT LIKE '%/confirm' ORDER BY id"
            return archive.execute(first).fetchall()
    except sqlite3.OperationalError:  # it is being made
        return []


@pytest.mark.parametrize("verdicts", [0, 1, 6])
def test_a_killed_run_is_resumed_to_the_same_verdicts(tmp_path: Path, verdicts: int) -> None:
    """Killed while it works, after so many verdicts: those are not asked again, the others are found."""
    path, home = tmp_path / "m.sv", tmp_path / "home"
    path.write_text(COUNTER)
    run = begin(home, "verify", str(path), "--goal", "prove")
    ready = (lambda: len(decided(home)) >= verdicts) if verdicts else (home / "archive.sqlite").exists
    assert until(ready)
    run.kill()
    run.communicate()
    assert run.returncode == -signal.SIGKILL
    before = decided(home)
    assert verdicts <= len(before) < CLAIMS

    again = begin(home, "resume", "last")
    said = json.loads(again.communicate()[0].strip().splitlines()[-1])
    if "error" in said:  # killed before there was a run
        assert not before
        again = begin(home, "verify", str(path), "--goal", "prove")
        said = json.loads(again.communicate()[0].strip().splitlines()[-1])
    assert [row["verdict"] for row in said["assertions"]] == ["refuted"] * 10 + ["proved"] * (CLAIMS - 10)
    after = decided(home)
    assert after[: len(before)] == before
    assert len({c for _, c in after}) == len(after) == CLAIMS
