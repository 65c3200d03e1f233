"""A small problem, whose search is quick."""

from __future__ import annotations

from pathlib import Path

import pytest

PROBLEM = '''"""Each row's softmax, times a gate of itself."""

import torch
from torch import nn

rows = 1024
columns = 256


class Model(nn.Module):
    def forward(self, x):
        return torch.softmax(x, dim=1) * torch.sigmoid(x)


def get_inputs():
    return [torch.randn(rows, columns)]


def get_init_inputs():
    return []
'''


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    path = tmp_path / "gated_softmax.py"
    path.write_text(PROBLEM)
    return path
