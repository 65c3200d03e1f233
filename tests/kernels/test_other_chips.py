"""What other chips get: first choices for vectors of eight and four lanes, compiled for them and run here."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from kerf.kernels.build import builder
from kerf.kernels.problem import from_module
from kerf.kernels.referee.compare import compare
from kerf.kernels.referee.tolerance import reference_outputs
from kerf.kernels.targets.cpu import Chip, native

CHIPS = {  # GCC's name of what they have at least: Intel's and AMD's of 2013, and any of 2009
    "haswell": Chip("eight lanes", "x86_64", 256, 32768, 1 << 18, 4 << 20, 2, frozenset({"avx", "avx2", "fma", "f16c"}), "AuthenticAMD"),
    "x86-64-v2": Chip("four lanes", "x86_64", 128, 32768, 1 << 18, 4 << 20, 2, frozenset({"sse4_2"}), "GenuineIntel"),
}  # fmt: skip


class Call(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        match self.name:
            case "softmax":
                return torch.softmax(x, -1)
            case "normed columns":
                return (x - x.mean(0)) / x.std(0)
            case "running sums":
                return torch.cumsum(torch.sigmoid(x), 0) + torch.cumsum(x, 1)
            case "extremes":
                return x.argmax(1).float() * x.amin(1)
            case "half":
                return torch.nn.functional.gelu(x.half().float() * 2).bfloat16()
        raise AssertionError(self.name)


class Attention(nn.Module):
    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


class Last(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(9, 21, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rnn(x)[0]


def _conv(*args: int, **more: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(*args, **more), nn.Hardswish(), nn.MaxPool2d(2))


CASES = {
    "softmax": (lambda: Call("softmax"), (37, 203)),
    "normed columns": (lambda: Call("normed columns"), (61, 77)),
    "running sums": (lambda: Call("running sums"), (43, 67)),
    "extremes": (lambda: Call("extremes"), (29, 131)),
    "half": (lambda: Call("half"), (17, 93)),
    "linear": (lambda: nn.Sequential(nn.Linear(83, 71), nn.Mish(), nn.Linear(71, 5)), (33, 83)),
    "conv": (lambda: _conv(5, 19, 3, padding=1), (2, 5, 23, 21)),
    "wide conv": (lambda: _conv(32, 24, 3, padding=1), (1, 32, 20, 20)),
    "depthwise": (lambda: _conv(18, 18, 3, groups=18, stride=2), (2, 18, 25, 27)),
    "transposed": (lambda: nn.ConvTranspose2d(6, 11, 4, stride=2), (2, 6, 9, 7)),
    "layer norm": (lambda: nn.LayerNorm(151), (19, 151)),
    "gru": (Last, (3, 8, 9)),
}  # fmt: skip


def _runs_here(march: str) -> bool:
    return native().machine == "x86_64" and CHIPS[march].features <= native().features


@pytest.mark.parametrize("march", CHIPS)
@pytest.mark.parametrize("name", [*CASES, "attention"])
def test_first_choices_for_other_chips_are_right(march: str, name: str, tmp_path: Path) -> None:
    if not _runs_here(march):
        pytest.skip(f"this machine does not run code for {march}")
    torch.manual_seed(3)
    if name == "attention":
        module: nn.Module = Attention()
        inputs = [torch.randn(2, 3, 45, 24) for _ in range(3)]
    else:
        make, shape = CASES[name]
        module, inputs = make(), [torch.randn(*shape)]
    build = builder(from_module(module, inputs), 1, CHIPS[march])
    for file, text in build.files(build.space.default()).items():
        (tmp_path / file).write_text(_compiled_for(march, text) if file == "kernel.py" else text)
    spec = importlib.util.spec_from_file_location(f"other_{tmp_path.name}", tmp_path / "kernel.py")
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    model = made.ModelNew()
    model.load_state_dict(module.state_dict())
    with torch.no_grad():
        verdict = compare(model(*inputs), reference_outputs(module, inputs)[0])
    assert verdict.passed, verdict.text


def _compiled_for(march: str, text: str) -> str:
    flags = re.search(r"^FLAGS = .*$", text, re.M)
    assert flags and "-march=native" in flags[0]
    return text.replace(flags[0], flags[0].replace("-march=native", f"-march={march}"))
