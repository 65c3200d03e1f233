"""What a kernel command imports before it works, and what it may run in earnest to find a cost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from kerf.kernels import cost

PROBLEM = """
import torch

class Model(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = torch.nn.Linear(width, 24)

    def forward(self, x):
        return torch.nn.functional.softmax(self.linear(x), dim=-1)

rows, width = 40, 16

def get_inputs():
    return [torch.randn(rows, width)]

def get_init_inputs():
    return [width]
"""
COMMAND = """
import sys
import kerf.cli
sys.argv = ["kerf", *sys.argv[1:]]
try:
    kerf.cli.main()
except SystemExit as stop:
    assert not stop.code, stop.code
print("imported", [m for m in ("torch._dynamo", "torch._inductor", "sympy", "z3", "scipy", "matplotlib") if m in sys.modules])
"""


@pytest.mark.parametrize("verb", [["audit"], ["evaluate", "candidate.py"]])
def test_no_compiler_is_imported_for_a_small_problem(verb: list[str], tmp_path: Path) -> None:
    (tmp_path / "problem.py").write_text(PROBLEM)
    (tmp_path / "candidate.py").write_text(PROBLEM.replace("class Model(", "class ModelNew("))
    command = [sys.executable, "-c", COMMAND, *verb, "problem.py"]
    environment = {**os.environ, "KERF_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "imported []"


class Twice(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.relu(x @ y) * 2


def huge(name: str) -> tuple[Callable[[], nn.Module], Callable[[], list[torch.Tensor]]]:
    """Problems that would need 4 TiB."""
    column, row = (1 << 20, 1), (1, 1 << 20)
    add = nn.Module()
    add.forward = lambda x, y: x + y  # type: ignore[method-assign, assignment]
    return {
        "inputs": (Twice, lambda: [torch.randn(1 << 20, 1 << 20), torch.randn(row[1], 1)]),
        "product": (Twice, lambda: [torch.randn(column), torch.randn(row)]),
        "broadcast": (lambda: add, lambda: [torch.randn(column), torch.randn(row)]),
    }[name]


@pytest.mark.parametrize("name", ["inputs", "product", "broadcast"])
def test_a_cost_is_found_where_the_memory_is_not_there(name: str) -> None:
    build, inputs = huge(name)
    found = cost.measure(build, inputs)
    assert max(found.input_bytes, found.output_bytes) >= 1 << 42
    assert found.flops >= 1 << 40
    assert cost.static_bytes(build, inputs) == found.input_bytes


def test_a_run_in_earnest_and_fake_tensors_find_the_same_cost() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Dropout(0.25))

    def inputs() -> list[torch.Tensor]:
        return [torch.randn(2, 3, 12, 12)]

    assert cost.measure(build, inputs) == cost.measure_fake(build, inputs)
    assert cost.measure(build, inputs).random


def test_finding_a_cost_leaves_module_and_inputs_as_they_were() -> None:
    module, x = nn.Sequential(nn.ReLU(inplace=True), nn.BatchNorm1d(4)), torch.randn(8, 4)
    before, state = x.clone(), {k: v.clone() for k, v in module.state_dict().items()}
    cost.measure_module(module, [x])
    assert torch.equal(x, before)
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())
