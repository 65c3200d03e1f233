"""How many mutants an assertion notices: the count, against each fault alone with the assertion beside it; and where users read it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from designs import FIFO, design

from kerf.verification.claims import claims_of
from kerf.verification.model import model
from kerf.verification.mutation import sample
from kerf.verification.mutation.noticed import CYCLES, noticed
from kerf.verification.problem import VerificationProblem
from kerf.verification.random_runs import random_runs
from kerf.verification.trace import replay
from kerf.verification.verify import Request, verify

CLAIMS = """
  a_ok: assert property (@(posedge clk) disable iff (rst) full |-> !empty);
  a_bad: assert property (@(posedge clk) disable iff (rst) !full);
  a_far: assert property (@(posedge clk) disable iff (rst) count[A-1:0] == A'(tail - head));
  a_live: assert property (@(posedge clk) s_eventually push);
  always_ff @(posedge clk) if (!rst) a_now: assert (count <= D);
endmodule"""
TEXT = FIFO.replace("\nendmodule", CLAIMS)


def test_counts_are_those_of_each_fault_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One design a fault, its assertions replayed in the very runs."""
    monkeypatch.setattr("kerf.verification.mutation.noticed.RUNS", 6)
    problem = VerificationProblem(design(TEXT), properties=("count == 3 && push && !pop |=> full",))
    plain = model(problem.design)
    mutants = sample(plain, 400)[0]
    rows = noticed(problem, plain, mutants, [], time.monotonic() + 60)
    assert set(rows) == {"a_ok", "a_bad", "a_far", "a_now", "spec1"}  # no finite run violates a_live
    assert all(0 < row.sum() < len(mutants) for row in rows.values())
    runs = random_runs(plain, 6, CYCLES)

    def broken(text: str) -> dict[str, list[bool]]:
        made, claims = claims_of(
            VerificationProblem(design(text), properties=problem.properties, reset="rst"), keep=False
        )
        bad = {a.name: a.finite for a in claims if a.name in rows}
        seen = [replay(made, run, [], list(bad.values())) for run in runs]
        never = dict.fromkeys(
            rows, [False] * len(runs)
        )  # a fault may leave an assertion no way to be reached
        return never | {n: [any(row[x] for row in r) for r in seen] for n, x in bad.items()}

    good = broken(TEXT)
    for k in range(0, len(mutants), 6):
        alone = broken(mutants[k].applied(TEXT))
        for name, row in rows.items():
            shown = any(b and not g for b, g in zip(alone[name], good[name], strict=True))
            assert row[k] == shown, (mutants[k].name, name)


def test_assumptions_bound_what_counts() -> None:
    """Where nothing is ever pushed, what only a full FIFO would show is not shown."""
    free = VerificationProblem(design(TEXT))
    bound = VerificationProblem(design(TEXT), properties=("assume property (@(posedge clk) !push)",))
    plain = model(free.design)
    mutants = sample(plain, 100)[0]
    more, less = (noticed(p, plain, mutants, [], time.monotonic() + 60)["a_ok"] for p in (free, bound))
    assert more.any() and (less & ~more).sum() == 0 and less.sum() < more.sum()


@pytest.mark.parametrize("goal", ["prove,mutate", "prove"])
def test_users_read_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goal: str) -> None:
    monkeypatch.setenv("KERF_HOME", str(tmp_path / "home"))
    path, blind = tmp_path / "fifo.sv", tmp_path / "blind.csv"
    path.write_text(TEXT)
    blind.write_text("push,pop,din,empty\n0,0,0,1\n0,0,0,1\n")
    said = verify(Request((str(path),), goal=goal, tests=(str(blind),), minutes=0.5))
    kills = {row["name"]: row["kills"] for row in said["assertions"]}
    page = Path(said["report"]).read_text()
    if goal == "prove":
        assert set(kills.values()) == {None}
        return
    assert kills["a_far"] > kills["a_ok"] > 0 and kills["a_live"] is None
    assert kills == dict.fromkeys(kills) | said["mutants"]["assertions"]
    told = [s["assertions"] for s in said["mutants"]["survivors"]]
    assert ["a_far"] in told and [] in told
    assert f'<td class="n">{kills["a_far"]}</td>' in page and "(breaks <code>a_far</code>)" in page
