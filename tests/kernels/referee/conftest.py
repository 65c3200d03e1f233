"""One small problem and one evaluator for all tests of this folder: starting the workers costs seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from kerf.core.types import Candidate
from kerf.kernels.problem import load_text
from kerf.kernels.referee.evaluator import KernelEvaluator

PROBLEM = """
import torch
class Model(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.rand(width) + 0.5)
    def forward(self, x):
        return torch.nn.functional.gelu(x, approximate="tanh") * self.scale
rows, width = 96, 257
def get_inputs(): return [torch.randn(rows, width)]
def get_init_inputs(): return [width]
"""
C_CODE = """
#include <math.h>
void run(const float *x, const float *s, float *y, long rows, long width) {
    for (long r = 0; r < rows; r++) for (long c = 0; c < width; c++) {
        float v = x[r * width + c], t = 0.7978845608f * (v + 0.044715f * v * v * v);
        y[r * width + c] = 0.5f * v * (1 + tanhf(t)) * s[c];
    }
}
"""
PYTHON = """
import ctypes, os, torch
LIB = ctypes.CDLL(os.path.join(os.path.dirname(__file__), "kernel.so"))
P, L = ctypes.c_void_p, ctypes.c_long
class ModelNew(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.zeros(width))
    def run(self, x, out):
        LIB.run(P(x.data_ptr()), P(self.scale.data_ptr()), P(out[0].data_ptr()), L(x.shape[0]), L(x.shape[1]))
    def forward(self, x):
        out = torch.empty_like(x)
        self.run(x, (out,))
        return out
"""
FLAGS = ["-O3", "-march=native", "-fno-math-errno"]


def candidate(
    python: str = PYTHON, c: str = C_CODE, *, interface: str = "native", flags: list[str] | None = None
) -> Candidate:
    manifest = {"format": 1, "entry": "kernel.py", "interface": interface, "shapes": "exact", "threads": 1,
                "sources": {"kernel.c": {"output": "kernel.so", "flags": FLAGS if flags is None else flags}}}  # fmt: skip
    return Candidate({"kernel.py": python, "kernel.c": c, "manifest.json": json.dumps(manifest)})


def in_run(statement: str) -> Candidate:
    """A right candidate that first executes `statement` (which sees self, x and out) in every call."""
    return candidate(
        PYTHON.replace("    def run(self, x, out):\n", f"    def run(self, x, out):\n        {statement}\n")
    )


@pytest.fixture(scope="session")
def evaluator() -> Iterator[KernelEvaluator]:
    found = KernelEvaluator(load_text(PROBLEM, name="scaled gelu"), time_limit_s=3.0)
    yield found
    found.close()
