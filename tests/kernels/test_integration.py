"""From a module to a drop-in that is loaded and called: what only shows when all the parts stand together."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from kerf.kernels.build import Builder, builder
from kerf.kernels.codegen.share import Code, share
from kerf.kernels.problem import from_module
from kerf.kernels.tensors import flat_tensors


def built(module: nn.Module, *inputs: Any) -> Builder:
    return builder(from_module(module, list(inputs)), 1)


def loaded(build: Builder, folder: Path) -> Any:
    for name, text in build.files(build.space.default()).items():
        (folder / name).write_text(text)
    spec = importlib.util.spec_from_file_location("candidate", folder / "kernel.py")
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    new = made.ModelNew()
    new.load_state_dict(build.problem.module.state_dict())
    return new


def agree(new: nn.Module, module: nn.Module, *inputs: Any) -> None:
    with torch.no_grad():
        got, want = (list(flat_tensors(m(*inputs))) for m in (new, module))
    for g, w in zip(got, want, strict=True):
        torch.testing.assert_close(g, w, rtol=1e-4, atol=1e-5)


class AddAfterTransposed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose3d(4, 4, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.conv(x) + y


def test_what_an_epilogue_adds_lies_where_the_strided_result_does(tmp_path: Path) -> None:
    x, y = torch.randn(1, 4, 5, 6, 7), torch.randn(1, 4, 10, 12, 14)
    build = built(AddAfterTransposed(), x, y)
    agree(loaded(build, tmp_path), build.problem.module, x, y)


@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.GRUCell])
def test_a_product_with_a_constant_operand_is_built(cell: type[nn.Module], tmp_path: Path) -> None:
    """A cell that is given no state multiplies zeros."""
    x = torch.randn(5, 17)
    build = built(cell(17, 23), x)
    agree(loaded(build, tmp_path), build.problem.module, x)


class Rotary(nn.Module):
    def __init__(self, persistent: bool) -> None:
        super().__init__()
        angles = torch.outer(torch.arange(7.0), torch.tensor([1.0, 0.1, 0.01]))
        turn = torch.polar(torch.ones_like(angles), angles).conj()
        self.register_buffer("turn", turn, persistent=persistent)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.view_as_complex(x.unflatten(-1, (-1, 2))) * self.turn
        return torch.view_as_real(y).flatten(-2)


@pytest.mark.parametrize("persistent", [True, False])
def test_a_complex_buffer_is_read_as_it_lies(persistent: bool, tmp_path: Path) -> None:
    x = torch.randn(4, 7, 6)
    build = built(Rotary(persistent), x)
    new = loaded(build, tmp_path)
    agree(new, build.problem.module, x)
    agree(type(new).from_module(build.problem.module), build.problem.module, x)


def test_running_statistics_are_kept_without_packing_the_weights_again(tmp_path: Path) -> None:
    x = torch.randn(16, 32)
    build = built(nn.Sequential(nn.Linear(32, 48), nn.BatchNorm1d(48)).train(), x)
    new, old = loaded(build, tmp_path), build.problem.fresh_module()
    for _ in range(3):
        agree(new, old, x)
    torch.testing.assert_close(new.state_dict()["1.running_var"], old.state_dict()["1.running_var"])
    ready = new._ready
    with torch.no_grad():
        new._prepare()
        assert new._ready is ready  # nothing left to do
        new._state("0.weight").mul_(2)
        old.get_parameter("0.weight").mul_(2)
    agree(new, old, x)


class Closure(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"fc": nn.Linear(80, 70)})
        inner = self.inner
        self.call = lambda x: inner["fc"](x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.call(x)


def test_weights_seen_through_a_closure_are_the_modules(tmp_path: Path) -> None:
    x = torch.randn(3, 80)
    build = built(Closure(), x)
    assert any(b.source == "inner.fc.weight" for b in build.program.buffers.values())
    agree(loaded(build, tmp_path), build.problem.module, x)


class Steps(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x[:, t] * (t % 7 - 3) + x[:, 0] for t in range(x.shape[1])], 1)


def test_a_stack_of_many_parts_is_not_too_deep(tmp_path: Path) -> None:
    x = torch.randn(2, 300, 3)
    build = built(Steps(), x)
    agree(loaded(build, tmp_path), build.problem.module, x)


class ForgetsItsStart(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1e-12 * torch.randn(x.shape[-1], device=x.device)


def test_a_draw_that_the_result_forgets_is_no_obstacle(tmp_path: Path) -> None:
    x = torch.rand(4, 8) + 1
    build = built(ForgetsItsStart(), x)
    agree(loaded(build, tmp_path), build.problem.module, x)


class Residual(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = x + layer(torch.softmax(x, -1))
        return x


def test_equal_layers_share_their_kernels_and_read_few_buffers(tmp_path: Path) -> None:
    x = torch.randn(20, 32)
    build = built(Residual(8), x)
    assembly = build.assembly(build.space.default())
    assert assembly.source.count("the same as") >= 6
    assert max(len(p.group.inputs) for p in assembly.pieces if p.group) <= 8
    agree(loaded(build, tmp_path), build.problem.module, x)


@pytest.mark.parametrize(("second", "shared"), [("+", True), ("-", False)])
def test_kernels_are_shared_only_when_what_they_call_is_the_same(second: str, shared: bool) -> None:
    def kernel(symbol: str, op: str, buffer: str) -> Code:
        text = (
            f"static float {symbol}_one(float v)\n{{\n    return v {op} 1;\n}}\n"
            f"static void {symbol}(const float *{buffer}_)\n{{\n    {symbol}_one({buffer}_[0]);\n}}\n"
        )
        return Code(symbol, text, (buffer,))

    _, names = share([kernel("k0", "+", "p_a"), kernel("k1", second, "p_b")])
    assert names == ({"k1_one": "k0_one", "k1": "k0"} if shared else {})


def test_definitions_of_which_a_compiler_takes_one_stay_with_their_kernel() -> None:
    def kernel(symbol: str) -> Code:
        text = f"#if A\n#define {symbol}_PUT(x) a(x)\n#else\n#define {symbol}_PUT(x) b(x)\n#endif\n"
        return Code(
            symbol, text + f"static void {symbol}(int x)\n{{\n    {symbol}_PUT(x + {symbol[1:]});\n}}\n", ()
        )

    for text in share([kernel("k0"), kernel("k1"), kernel("k2")])[0]:
        (used,) = set(re.findall(r"(\w+_PUT)\(x \+", text))
        assert text.count(f"#define {used}(") == 2


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.line, self.out = nn.Linear(24, 16), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        made = []
        for step in range(3):  # fewer than are worth a loop
            h = torch.tanh(self.line(torch.cat((x[step], h), 1)))
            made.append(self.out(h))
        return torch.stack(made)


def test_a_weight_that_is_used_often_is_packed_once(tmp_path: Path) -> None:
    x, h = torch.randn(3, 20, 8), torch.randn(20, 16)
    build = built(Cell(), x, h)
    assembly = build.assembly(build.space.default())
    assert len({p.reads or (p.source,) for p in assembly.packed}) == len(assembly.packed) <= 3
    agree(loaded(build, tmp_path), build.problem.module, x, h)


def test_bags_of_any_lengths_are_left_to_the_library(tmp_path: Path):
    bag, inputs = nn.EmbeddingBag(20, 6, mode="sum"), (torch.randint(0, 20, (9,)), torch.tensor([0, 2, 2, 7]))
    agree(loaded(built(bag, *inputs), tmp_path), bag, *inputs)


class Decayed(nn.Module):
    """A product under a mask of differences, as in state-space models."""

    def forward(self, x: torch.Tensor, y: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        n = x.shape[0]
        apart = torch.where(torch.ones(n, n).tril() > 0, a[:, None] - a[None, :], -torch.inf)
        return (x @ y) * torch.exp(apart)


@torch.no_grad()
def test_what_lies_inside_is_read_whatever_the_mask_says() -> None:
    """As a masked load of one place for all lanes it keeps loops scalar: exponentials took 24 ns each."""
    module, given = Decayed(), [torch.randn(40, 33), torch.randn(33, 40), torch.randn(40)]
    build = builder(from_module(module, given), threads=1)
    source = build.files(build.space.default())["kernel.c"]
    masked = [line for line in source.splitlines() if " ? " in line and "INFINITY" in line]
    assert masked and not any("p_in_a[" in line for line in masked)
