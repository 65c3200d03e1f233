"""Degenerate problems are found, and their hardened form is not degenerate."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kerf.cli import build
from kerf.kernels.audit import audit, audit_path
from kerf.kernels.problem import load_problem, load_text
from kerf.kernels.roofline import Level, Roofline, roofline
from kerf.kernels.targets.cpu import native


def problem(forward: str, inputs: str = "torch.rand(16, 32)", init: str = "pass") -> str:
    return f"""
import torch

class Model(torch.nn.Module):
    def __init__(self):
        super(Model, self).__init__()
        {init}

    def forward(self, x, *more):
        return {forward}

def get_inputs():
    return [{inputs}]
"""


@pytest.mark.parametrize(
    ("text", "kind", "tolerance"),
    [
        (problem("torch.relu(x)"), "input", "ours"),
        (problem("torch.relu(x - 2)"), "zeros", "ours"),
        (problem("torch.softmax(x, -1) * 1e-4"), "zeros", "1e-4"),
        (problem("torch.sigmoid(x * 0.001)"), "constant", "1e-2"),
        (problem("x * 0 + self.w", init="self.w = torch.arange(32.0)"), "row", "ours"),
        (problem("x * 0 + self.w", init="self.w = torch.randn(16, 32)"), "independent", "ours"),
        (problem("x + more[0] * 0", inputs="torch.randn(4, 4), torch.randn(4, 4)"), "argument", "ours"),
        (problem("torch.log(x - 2)"), "nonfinite", "ours"),
        (problem("torch.nn.functional.dropout(x, 0.5)"), "random", "ours"),
    ],
)  # fmt: skip
def test_each_kind_is_found(text: str, kind: str, tolerance: str) -> None:
    found = {d["kind"]: d for d in audit(load_text(text, check=False)).degenerate}
    assert kind in found and tolerance in found[kind]["tolerances"], found


def test_a_sound_problem_is_sound() -> None:
    assert audit(load_text(problem("torch.tanh(x) @ x.T", inputs="torch.randn(16, 32)"))).degenerate == []


@pytest.mark.parametrize(
    "text",
    [
        problem("torch.relu(x)"),
        problem("torch.relu(x - 2)"),
        problem("self.n(x).mean(1)", init="self.n = torch.nn.LayerNorm(32)"),
        problem("torch.softmax(x, -1) * 1e-3"),
        problem("torch.softmax(self.d(x), -1)", init="self.d = torch.nn.Dropout(0.5)"),
    ],
)  # fmt: skip
def test_the_hardened_form_is_sound(tmp_path: Path, text: str) -> None:
    path = tmp_path / "weak.py"
    path.write_text(text)
    result = audit_path(path, {})
    assert result["degenerate"] and result["hardened"] == str(tmp_path / "weak_hardened.py")
    assert audit(load_problem(result["hardened"])).degenerate == []


def test_what_cannot_be_mended_says_so(tmp_path: Path) -> None:
    path = tmp_path / "zero.py"
    path.write_text(problem("x - x"))
    result = audit_path(path, {})
    assert result["degenerate"] and result["hardened"] is None


def test_a_folder_is_audited_with_large_problems_shrunk(tmp_path: Path) -> None:
    (tmp_path / "relu.py").write_text(problem("torch.relu(x)"))
    (tmp_path / "large.py").write_text(
        "n = 1 << 17\n" + problem("torch.tanh(x)", inputs="torch.randn(n, 8192)")
    )
    (tmp_path / "broken.py").write_text(problem("undefined(x)"))
    said: list[str] = []
    result = audit_path(tmp_path, {}, harden=False, watch=said.append)
    assert said == ["1/3 broken.py: not audited", "2/3 large.py: sound", "3/3 relu.py: input"]
    rows = {Path(r["problem"]).stem: r for r in result["problems"]}
    assert (
        result["degenerate_count"] == 1 and rows["relu"]["degenerate"] and rows["large"]["degenerate"] == []
    )
    assert rows["large"]["sizes"]["n"] < 1 << 17 and "undefined" in rows["broken"]["error"]


def test_roofline_is_measured_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERF_HOME", str(tmp_path))
    first = roofline(1, again=True)
    assert len(list((tmp_path / "roofline").glob("*.json"))) == 1
    assert first.peak_gflops > 1 and [b.level for b in first.bandwidth] == ["L1", "L2", "L3", "memory"]
    assert first.bandwidth[0].best > first.bandwidth[-1].best
    assert (first.product_gflops > first.peak_gflops) == ({"amx_tile", "amx_bf16"} <= native().features)
    assert roofline(1) is first


def test_bounds() -> None:
    roof = Roofline(
        "x",
        1,
        100.0,
        (
            Level("L1", 1 << 15, 400, 1, 1, 1),
            Level("L2", 1 << 20, 200, 1, 1, 1),
            Level("memory", 1 << 27, 20, 1, 1, 1),
        ),
    )
    assert roof.bound(1e9, 0) == pytest.approx(0.01) and roof.limit(1e9, 1) == "compute"
    assert roof.bound(0, 2e10) == pytest.approx(1.0) and roof.limit(0, 2e10) == "memory"
    assert roof.bandwidth_at(1 << 10) == 400 and 20 < roof.bandwidth_at(2 << 20) < 200
    assert roof.share(2.0, 0, 2e10) == pytest.approx(0.5)
    faster = replace(roof, product_gflops=400.0)
    assert faster.bound(1e9, 0, products=8e8) == pytest.approx(0.002 + 0.002)
    assert roof.bound(1e9, 0, products=8e8) == roof.bound(1e9, 0)


def test_the_hardened_form_can_be_declined_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "zero.py").write_text(
        "import torch\nimport torch.nn as nn\n\n\nclass Model(nn.Module):\n    def forward(self, x):\n        return x * 0\n\n\n"
        "def get_inputs():\n    return [torch.randn(50, 64)]\n\n\ndef get_init_inputs():\n    return []\n"
    )
    result = CliRunner().invoke(build(), ["audit", str(tmp_path / "zero.py"), "--no-harden", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout.splitlines()[-1])["degenerate"]
    assert [p.name for p in tmp_path.iterdir()] == ["zero.py"]
