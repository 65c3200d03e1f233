from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from made import design, placement

from kerf.core.types import KerfError
from kerf.placement.design import Design, Kind
from kerf.placement.env import FORBIDDEN, MacroPlacementEnv, gridded
from kerf.placement.hpwl import net_lengths
from kerf.placement.legality import check
from kerf.placement.proxy import proxy

KINDS = np.array([Kind.MACRO] * 5 + [Kind.SOFT] * 4 + [Kind.PORT] * 3, np.int8)


def chip(seed: int, **changed: object) -> Design:
    """Five hard and four soft macros and three ports; nothing turned, so that all fit in the corner of a grid cell somewhere."""
    made = design(seed, kind=KINDS, fixed=KINDS == Kind.PORT, **changed)
    return replace(made, initial=replace(made.initial, orient=np.zeros(made.cells, np.int64)))


def played(env: MacroPlacementEnv, seed: int) -> tuple[list[float], dict]:
    """An episode of random allowed actions."""
    rng = np.random.default_rng(seed)
    _, info = env.reset(seed=seed)
    rewards, over = [], False
    while not over:
        action = rng.choice(np.flatnonzero(env.action_masks()))
        _, reward, over, truncated, info = env.step(action)
        assert not truncated
        rewards.append(reward)
    return rewards, info


@pytest.mark.parametrize("reward", ["final", "dense"])
@pytest.mark.parametrize("grid", [True, False], ids=["grid", "no grid"])
def test_gymnasium_accepts_it(reward: str, grid: bool) -> None:
    made = chip(3) if grid else chip(3, grid=None)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(maximum value is infinity|alternative render modes).*")
        check_env(MacroPlacementEnv(made, reward=reward, render_mode="rgb_array"))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["greedy", "leave"]))
def test_an_episode_places_every_macro_and_is_paid_its_cost(seed: int, soft: str) -> None:
    made = chip(seed)
    dense = MacroPlacementEnv(made, reward="dense", soft=soft)
    _, start = dense.reset(seed=seed)
    rewards, info = played(dense, seed)
    if info["placed"] < 5:
        assert not dense.action_masks().any()
        return
    final, _ = played(MacroPlacementEnv(made, soft=soft), seed)
    assert final[:-1] == [0.0] * 4 and final[-1] == pytest.approx(-info["cost"], abs=1e-12)
    assert sum(rewards) == pytest.approx(start["cost"] - info["cost"], abs=1e-9)
    placed = dense.placement
    assert proxy(made, placed).cost == pytest.approx(info["cost"], abs=1e-9)
    found = check(made, placed)
    assert not len(found.overlaps) and not set(found.out_of_die) & set(range(5)), "the mask allows no overlap"


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_wires_are_what_the_macros_nets_grow_by(seed: int) -> None:
    """With one macro, everything else has its place: the map must equal the change in wirelength, cell by cell."""
    kinds = np.array([Kind.MACRO] + [Kind.SOFT] * 11, np.int8)
    made = replace(design(seed, kind=kinds, fixed=kinds == Kind.PORT), initial=placement(seed, 12))
    env = MacroPlacementEnv(made, soft="leave")
    seen, _ = env.reset()
    grid = made.grid
    assert grid is not None
    alone = [n for n in range(made.nets) if set(made.pin_cell[slice(*made.net_start[n : n + 2])]) == {0}]
    grown, lengths = [], []
    for action in np.flatnonzero(env.action_masks())[:8]:
        env.reset()
        env.step(action)
        own = net_lengths(made, env.placement)
        own[alone] = 0.0
        lengths.append(made.net_weight @ own)
        grown.append(seen["wires"].ravel()[action] * (grid.width + grid.height))
    np.testing.assert_allclose(np.diff(lengths), np.diff(grown), atol=1e-4)


def test_a_forbidden_action_ends_the_episode() -> None:
    env = MacroPlacementEnv(chip(1))
    env.reset()
    first = int(np.flatnonzero(env.action_masks())[0])
    env.step(first)
    assert not env.action_masks()[first], "a macro lies there"
    _, reward, over, _, info = env.step(first)
    assert (reward, over, info["placed"]) == (FORBIDDEN, True, 1)


def test_the_largest_macro_comes_first_and_only_equals_are_shuffled() -> None:
    made = chip(2)
    sizes = np.where(KINDS == Kind.MACRO, np.array([2.0, 3, 3, 3, 4] + [1.0] * 7), 1.0)
    env = MacroPlacementEnv(replace(made, width=sizes, height=sizes), shuffle=True)
    orders = set()
    for seed in range(60):
        order, (_, info) = [], env.reset(seed=seed)
        while info["macro"] >= 0 and env.action_masks().any():
            order.append(info["macro"])
            info = env.step(np.flatnonzero(env.action_masks())[0])[4]
        orders.add(tuple(order))
    assert {o[0] for o in orders} == {4} and {o[-1] for o in orders} == {0} and len(orders) == 6


def test_a_grid_for_those_without_keeps_places() -> None:
    made = chip(4, grid=None, die=(-10.0, 5.0, 50.0, 35.0))
    moved, shift = gridded(made)
    assert moved.grid is not None and (moved.grid.columns, moved.grid.rows) == (32, 16)
    assert shift == (-10.0, 5.0) and moved.die == (0.0, 0.0, 60.0, 30.0)
    env = MacroPlacementEnv(made, soft="leave")
    env.reset()
    ports = KINDS == Kind.PORT
    np.testing.assert_array_equal(env.placement.x[ports], made.initial.x[ports])


def test_nothing_to_place_is_said() -> None:
    with pytest.raises(KerfError, match="no hard macro may move"):
        MacroPlacementEnv(replace(chip(1), fixed=np.ones(12, np.bool_)))
