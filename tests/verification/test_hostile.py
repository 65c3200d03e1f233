"""A design is code that nobody trusts: it runs no command, reads nothing outside its folders, and cannot hang us."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from kerf.core.types import KerfError
from kerf.sandbox import isolation
from kerf.verification.design import load
from kerf.verification.model import model
from kerf.verification.prove import Property, Verdict, prove
from kerf.verification.synthesis import synthesize

ROM = """module rom(input [1:0] a, output [7:0] y);
  reg [7:0] data [0:3];
  initial $readmemh("{file}", data);
  assign y = data[a];
endmodule
"""
confined = pytest.mark.skipif(not isolation().sufficient, reason="this machine cannot confine a process")


def test_memory_files_beside_the_design_are_read(tmp_path: Path) -> None:
    (tmp_path / "rom.hex").write_text("11 22 33 44\n")
    (tmp_path / "rom.v").write_text(ROM.format(file="rom.hex"))
    made = model(load([tmp_path / "rom.v"]))
    g, s = made.graph, made.graph.signals
    wrong = g.conjunction(g.equal(s["a"].bits, 2), g.equal(s["y"].bits, 0x33) ^ 1)
    assert prove(made, [Property("rom", wrong)])[0].verdict is Verdict.PROVED


@confined
@pytest.mark.parametrize("name", ["{outside}/secret.hex", "../outside/secret.hex"])
def test_a_secret_elsewhere_is_not_read(tmp_path: Path, name: str) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir(), outside.mkdir()
    (outside / "secret.hex").write_text("de ad be ef\n")
    (inside / "rom.v").write_text(ROM.format(file=name.format(outside=outside)))
    with pytest.raises(KerfError) as told:
        model(load([inside / "rom.v"]))
    assert "de" not in str(told.value).split()


@confined
def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    inside, secret = tmp_path / "inside", tmp_path / "secret.hex"
    inside.mkdir()
    secret.write_text("de ad be ef\n")
    (inside / "rom.hex").symlink_to(secret)
    (inside / "rom.v").write_text(ROM.format(file="rom.hex"))
    with pytest.raises(KerfError):
        model(load([inside / "rom.v"]))


def test_no_command_runs(tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    text = f'module m(input a, output y); initial $system("touch {proof}"); assign y = a; endmodule'
    (tmp_path / "m.sv").write_text(text)
    with contextlib.suppress(KerfError):
        model(load([tmp_path / "m.sv"]))
    assert not proof.exists()


@pytest.mark.parametrize("name", ["a b.sv", "$(touch ran).sv", "a;b.sv", "'q\".sv", "-top.sv", "ü.sv"])
def test_files_of_any_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / f"in {name}"
    folder.mkdir()
    (folder / "part.vh").write_text("assign y = ~a;\n")
    (folder / name).write_text('module m(input a, output y);\n`include "part.vh"\nendmodule\n')
    monkeypatch.chdir(folder)
    made = model(load([folder / name]))
    assert set(made.graph.signals) == {"a", "y"}
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("word", ["a b", "x;y", '"', "-D"])
def test_macros_that_are_no_words_are_refused(tmp_path: Path, word: str) -> None:
    path = tmp_path / "m.sv"
    path.write_text("module m(input a, output y); assign y = a; endmodule")
    with pytest.raises(KerfError):
        synthesize(load([path], defines={"X": f"{word} !"}))


def test_a_design_without_end_is_stopped_in_time(tmp_path: Path) -> None:
    path = tmp_path / "m.sv"
    path.write_text(
        "module m(input [255:0] a, b, output [511:0] y, z); assign y = a * b; assign z = (a * b) % (a + b); endmodule"
    )
    begun = time.monotonic()
    with pytest.raises(KerfError, match="the time was up"):
        synthesize(load([path]), timeout_s=1)
    assert time.monotonic() - begun < 10


def test_a_file_that_another_one_includes_is_named(tmp_path: Path) -> None:
    (tmp_path / "part.v").write_text("module part(input a, output b); assign b = a; endmodule\n")
    (tmp_path / "top.v").write_text(
        '`include "part.v"\nmodule top(input a, output b); part p(a, b); endmodule\n'
    )
    assert load([tmp_path / "top.v"], top="top").top == "top"
    with pytest.raises(KerfError, match="is given twice, or another file includes it: leave it out"):
        load([tmp_path / "top.v", tmp_path / "part.v"], top="top")
