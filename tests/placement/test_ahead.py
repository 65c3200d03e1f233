"""What is compiled before a run's time begins is all that the run calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from made import design as made
from numba.core import event

import kerf
from kerf.archive import Archive
from kerf.placement import ahead
from kerf.placement.examples import path
from kerf.placement.formats import load
from kerf.placement.legality import check


@contextmanager
def compiled() -> Iterator[list[str]]:
    """The names of the functions that numba compiles meanwhile."""
    names: list[str] = []

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            names.append(event.data["dispatcher"].py_func.__qualname__)

        def on_end(self, event: Any) -> None: ...

    with event.install_listener("numba:compile", Listener()):
        yield names


def test_the_chip_to_compile_by_is_legal() -> None:
    chip = ahead._chip()
    assert check(chip, chip.initial).legal


@pytest.mark.parametrize("target", ["hpwl", "proxy"])
def test_a_run_compiles_nothing_more(target: str, tmp_path: Any) -> None:
    for part in ahead._PARTS[target]:
        part()
    chip = load(path()) if target == "hpwl" else made(3, cells=20)
    with Archive(tmp_path) as archive, compiled() as names:
        kerf.place(chip, target=target, minutes=0.05, threads=2, archive=archive)
    assert names == []


def test_what_is_compiled_is_not_compiled_again() -> None:
    for part in ahead._PARTS["hpwl"]:
        part()
    said: list[object] = []
    ahead.compile_ahead("hpwl", said.append)
    assert said == []
