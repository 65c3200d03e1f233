"""Every cheat in attacks/ must fail for its reason, every kernel in honest/ must pass."""

from __future__ import annotations

import os
import runpy
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import torch

from kerf.core.types import KerfError
from kerf.kernels import redteam
from kerf.kernels.problem import load_problem
from kerf.kernels.referee import case, trial
from kerf.kernels.referee.compare import compare

CORPUS = Path(__file__).parent
ENTRIES = redteam.read_corpus(CORPUS)
PROBLEMS = sorted({e.problem for e in ENTRIES})


@cache
def outcomes(problem: str) -> tuple[redteam.Outcome, ...]:
    """One evaluator a problem, shared by the tests of its attacks and of its honest kernels."""
    return tuple(redteam.run(CORPUS, [e for e in ENTRIES if e.problem == problem]))


@pytest.mark.parametrize("problem", PROBLEMS)
def test_cheats_fail_for_their_reason(problem: str) -> None:
    found = [o.row() for o in outcomes(problem) if o.entry.kind == "attack" and not o.right]
    assert not found, "\n".join(
        f"{r['name']}: {r['status']} ({r['reason']}), expected {r['expected']}" for r in found
    )


@pytest.mark.parametrize("problem", PROBLEMS)
def test_honest_kernels_pass(problem: str) -> None:
    found = [o.row() for o in outcomes(problem) if o.entry.kind == "honest" and not o.accepted]
    assert not found, "\n".join(f"{r['name']}: {r['status']} ({r['reason']})" for r in found)


@pytest.mark.parametrize("looked_at_again", [0.0, 1.0])
def test_answers_kept_by_address_never_pass(monkeypatch: pytest.MonkeyPatch, looked_at_again: float) -> None:
    """Not by luck: some check surely finds new values at the address of the call before, whatever was read in between."""
    monkeypatch.setattr(case, "SAME_PLACE", 0.0)
    monkeypatch.setattr(trial, "LOOKED_AT_AGAIN", looked_at_again)
    entry = next(e for e in ENTRIES if e.name == "B8_c_static_cache")
    assert not redteam.run(CORPUS, [entry])[0].accepted


def test_an_early_answer_never_passes_on_a_core_that_is_shared_with_the_referee() -> None:
    """There the work is done before anybody reads the early answer: the true one that follows betrays it."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        entry = next(e for e in ENTRIES if e.name == "D1c_early_reply")
        assert not redteam.run(CORPUS, [entry])[0].accepted
    finally:
        os.sched_setaffinity(0, cores)


@pytest.mark.parametrize("channels", [1, 5, 64])
def test_winograd_passes_whatever_the_values_and_sizes(channels: int) -> None:
    """Its errors are those of the largest values in a tile. One evaluation, which sees one draw of each class, passes by luck where the
    tolerance holds for half of them."""
    problem = load_problem(CORPUS / "problems" / "conv.py", {"channels": channels})
    honest = runpy.run_path(str(CORPUS / "honest" / "conv_winograd_4.py"))["ModelNew"](channels, 7)
    for seed in range(6):
        drawn = case.Case(problem, seed)
        try:
            for name in drawn.names():
                honest.load_state_dict(drawn.states[name == "weights"])
                check = drawn.check(name)
                with torch.no_grad():
                    verdict = compare(honest(*check.args), check.expected[0])
                assert verdict.passed, (seed, name, verdict.text)
        finally:
            drawn.close()


def test_the_corpus_is_as_wide_as_it_says() -> None:
    count = Counter(e.kind for e in ENTRIES)
    assert len({e.id for e in ENTRIES if e.kind == "attack"}) >= 50 and count["honest"] >= 50
    assert {e.id[0] for e in ENTRIES if e.kind == "attack"} >= set("ABCDEFGI")


def test_an_entry_without_a_header_is_named(tmp_path: Path) -> None:
    (tmp_path / "attacks").mkdir()
    (tmp_path / "attacks" / "X.py").write_text("class ModelNew: ...\n")
    with pytest.raises(KerfError, match=r"X\.py: the header lacks # id:"):
        redteam.read_corpus(tmp_path)
