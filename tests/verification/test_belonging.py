"""Which files are one design: what a sentence that names several of them is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from kerf.core.types import KerfError
from kerf.verification.belonging import apart

FILES = {
    "alu.v": "module alu(input a); wire adder; assign adder = a; endmodule",
    "adder.v": "module adder(input x); endmodule",
    "top.sv": "module top; // adder u_0 (x);\n alu #(.W(4)) u_alu (.a(1'b0)); endmodule",
    "pkg.sv": "package pkg; localparam N = 4; endpackage",
    "uses.sv": "module uses import pkg::*; (input [N-1:0] r); endmodule",
    "checks.sv": "module alu_checks(input a); endmodule\nbind alu alu_checks u_checks(.*);",
    "params.svh": "`define WIDTH 8",
    "wide.sv": '`include "params.svh"\nmodule wide; endmodule',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("files", "designs"),
    [
        (["alu.v", "adder.v"], [["alu.v"], ["adder.v"]]),  # a wire that has a module's name uses nothing
        (["alu.v", "top.sv"], [["alu.v", "top.sv"]]),
        (["top.sv", "adder.v", "alu.v"], [["top.sv", "alu.v"], ["adder.v"]]),  # what a comment says is no use
        (["uses.sv", "pkg.sv"], [["uses.sv", "pkg.sv"]]),
        (["alu.v", "checks.sv"], [["alu.v", "checks.sv"]]),
        (["wide.sv", "params.svh"], [["wide.sv", "params.svh"]]),
        (["alu.v", "not_there.v"], [["alu.v", "not_there.v"]]),
    ],
)
def test_files_that_use_each_other_are_one_design(
    folder: Path, files: Sequence[str], designs: Sequence[Sequence[str]]
) -> None:
    found = apart({"design": files, "minutes": 2}, folder)
    assert [a["design"] for a in found] == designs and all(a["minutes"] == 2 for a in found)


def test_what_cannot_be_told_is_asked(folder: Path) -> None:
    with pytest.raises(KerfError, match=r"pkg\.sv has no module"):
        apart({"design": ["alu.v", "pkg.sv"]}, folder)
    with pytest.raises(KerfError, match="of which the test is"):
        apart({"design": ["alu.v", "adder.v"], "test": ["t.csv"]}, folder)
    whole = {"design": ["alu.v", "adder.v"], "top": "alu"}
    assert apart(whole, folder) == [whole], "who names a top means one design"
