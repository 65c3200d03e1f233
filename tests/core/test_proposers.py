"""Proposers keep their promises, and learning ones pay."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from toys import Landscape, ToyEvaluator, ToyProblem

from kerf import loop
from kerf.archive import Archive
from kerf.core.types import Budget, KerfError
from kerf.proposers import conformance, make, registry
from kerf.proposers.boosting import Boosting
from kerf.proposers.conformance import ToySpace

DECLARED = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
    "entry-points"
]["kerf.proposers"]


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", sorted(DECLARED))
def test_conformance(name, check):
    check(lambda space, archive, seed: make(name, space, archive, seed))


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_what_pyproject_declares_is_what_is_installed(name):
    assert name in registry.names()
    assert make(name, ToySpace(), None, 0).name == name


def test_an_unknown_proposer_is_a_clear_error():
    with pytest.raises(KerfError, match=r"no proposer named 'wizard'.*portfolio"):
        make("wizard", ToySpace())


def test_boosting_learns_an_interaction():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, (400, 5)).astype(float)
    y = (x[:, 0] > 1) * (x[:, 1] > 1) * 2.0 + x[:, 2] * 0.3
    model = Boosting().fit(x[:300], y[:300], np.ones(300))
    error = np.mean((model.predict(x[300:]) - y[300:]) ** 2)
    assert error < 0.05 * np.var(y[300:])


def test_boosting_of_a_constant_is_that_constant():
    model = Boosting().fit(np.ones((5, 2)), np.full(5, 3.0), np.ones(5))
    assert model.predict(np.zeros((2, 2))) == pytest.approx([3.0, 3.0])


def search(name: str, size: float, memory, store: Archive, evaluations: int, seed: int) -> str:
    landscape = Landscape(size)
    proposer, budget = make(name, landscape.space, memory, seed), Budget(evaluations)
    return loop.run(
        ToyProblem(f"size-{size}"), proposer, ToyEvaluator(landscape), store, budget, seed=seed
    ).run


@pytest.fixture(scope="module")
def experience(tmp_path_factory):
    """An archive that has seen three related problems."""
    with Archive(tmp_path_factory.mktemp("experience")) as archive:
        for size in (0.5, 1.5, 2.0):
            search("random", size, None, archive, 60, 0)
            search("evolution", size, None, archive, 60, 0)
        yield archive.memory()


BEST = {size: Landscape(size).best() for size in (0.8, 1.2, 1.8)}


def share(name: str, evaluations: int, memory, folder: Path) -> float:
    """Geometric mean, over held-out problems and seeds, of the best found as a share of the best there is."""
    found = []
    for size, best in BEST.items():
        for seed in range(3):
            with Archive(folder / f"{name}-{size}-{seed}") as store:
                trials = store.trials(search(name, size, memory, store, evaluations, seed))
                found.append(max(t.evaluation.score or 0.001 for t in trials) / best)
    return float(np.exp(np.mean(np.log(found))))


def test_evolution_beats_random(tmp_path):
    assert share("evolution", 64, None, tmp_path / "e") > share("random", 64, None, tmp_path / "r") + 0.05


def test_learning_from_related_problems_beats_starting_afresh(tmp_path, experience):
    afresh = max(share(name, 16, None, tmp_path / "afresh") for name in ("random", "evolution"))
    for name in ("memory", "cost_model", "portfolio"):
        assert share(name, 16, experience, tmp_path / "taught") > max(0.8, afresh + 0.2), name


def test_the_portfolio_is_near_its_best_member(tmp_path, experience):
    alone = max(share(name, 32, experience, tmp_path / "alone") for name in ("memory", "cost_model"))
    assert share("portfolio", 32, experience, tmp_path / "together") > alone - 0.07


def test_the_first_answer_of_a_portfolio_is_the_heuristics(experience):
    space = Landscape(1.0).space
    first = make("portfolio", space, experience, 0).ask(4)
    assert first[0].notes["point"] == space.default() and len(first) == 4


def test_memory_begins_with_the_best_point_of_the_nearest_problem(experience):
    landscape = Landscape(1.6)
    first = make("memory", landscape.space, experience, 0).ask(1)[0]
    best = experience.nearest("toy", [1.6], 1, per_problem=1)[0]
    assert best.vector == (1.5,) and first.notes["point"] == best.point


def test_the_guide_to_writing_a_proposer_runs():
    guide = (Path(__file__).parents[2] / "docs" / "proposers.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL)
    scope: dict = {}
    for block in blocks:
        exec(block, scope)
    assert len(blocks) == 2 and scope["HillClimb"](ToySpace(), None, 0).ask(1)
