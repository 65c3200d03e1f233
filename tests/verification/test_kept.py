"""Graphs on disk: the same as those made afresh, and never of a design whose text does not tell all."""

from __future__ import annotations

from pathlib import Path

import pytest
from designs import COUNTER, FIFO, design

from kerf.verification import kept, synthesis
from kerf.verification.synthesis import synthesize


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERF_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("text", [FIFO, COUNTER, COUNTER.replace("4'd9", "4'd8")])
def test_a_kept_graph_is_the_graph(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = synthesize(design(text), keep=True)
    monkeypatch.setattr(synthesis, "_patiently", lambda *a: pytest.fail("made again"))
    again = synthesize(design(text), keep=True)
    assert again == made


def test_other_text_options_or_defines_are_other_graphs() -> None:
    plain = design(FIFO)
    keys = {
        kept.key_of(plain, {}, True),
        kept.key_of(plain, {}, False),
        kept.key_of(plain, {"design.sv": FIFO + " "}, True),
        kept.key_of(design(FIFO, defines={"X": "1"}), {}, True),
        kept.key_of(design(FIFO, parameters={"D": "8"}), {}, True),
    }
    assert len(keys) == 5


def test_what_reads_files_is_never_kept() -> None:
    assert kept.key_of(design(FIFO), {"design.sv": 'initial $readmemh("a", b);'}) == ""
    assert kept.key_of(design(FIFO), {"design.sv": '`include "a.vh"'}) == ""


def test_a_damaged_file_counts_as_none(home: Path) -> None:
    made = synthesize(design(COUNTER), keep=True)
    (file,) = home.rglob("graphs/*.json")
    file.write_text(file.read_text()[:100])
    assert synthesize(design(COUNTER), keep=True) == made
