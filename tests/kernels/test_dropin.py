"""The file a user keeps: what it computes, what it refuses, and what it does when weights change."""

from __future__ import annotations

import copy
import importlib.util
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
import torch
from torch import nn

from kerf.core.types import KerfError
from kerf.kernels.build import builder
from kerf.kernels.problem import from_module


class Affine(nn.Module):
    """A linear layer, an activation and a row statistic: several kernels, packed weights, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(37, 29)
        self.register_buffer("shift", torch.randn(29))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.tanh(self.fc(x) + self.shift)
        return y, y.amax(dim=1)


class Library(nn.Module):
    """Something no generator covers in the middle: it stays a library call."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values, _ = torch.sort(torch.sin(x), dim=1)
        return values * 2.0


class Norm(nn.Module):
    """Batch statistics: running averages are part of what the module does."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(19)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(x))


def load(module: nn.Module, inputs: list[torch.Tensor], folder: Path, custom_op: str = "") -> ModuleType:
    build = builder(from_module(module, inputs), threads=2)
    for name, text in build.files(build.space.default(), custom_op).items():
        (folder / name).write_text(text)
    spec = importlib.util.spec_from_file_location(f"dropin_{folder.name}", folder / "kernel.py")
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


def same(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_it_computes_what_the_module_does(tmp_path: Path) -> None:
    module, x = Affine(), torch.randn(23, 37)
    fast = load(module, [x], tmp_path).ModelNew.from_module(module)
    for got, want in zip(fast(x), module(x), strict=True):
        same(got, want)


@torch.no_grad()
def test_an_input_that_is_negative_in_name_only(tmp_path: Path) -> None:
    module, x = Affine(), torch.zeros(23, 37, dtype=torch.complex64).conj().imag
    assert x.is_neg()
    x.copy_(torch.randn(23, 37))
    fast = load(module, [x.clone()], tmp_path).ModelNew.from_module(module)
    for got, want in zip(fast(x), module(x), strict=True):
        same(got, want)


@torch.no_grad()
def test_non_contiguous_and_misaligned_inputs(tmp_path: Path) -> None:
    module, x = Affine(), torch.randn(23, 37)
    fast = load(module, [x], tmp_path).ModelNew.from_module(module)
    turned = torch.randn(37, 23).T
    shifted = torch.randn(23 * 37 + 1)[1:].view(23, 37)
    for odd in (turned, shifted):
        same(fast(odd)[0], module(odd)[0])


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(3, 12)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.norm(x) * y, x.sum((2, 3))


@torch.no_grad()
def test_channels_last_is_read_where_it_lies_and_given_back(tmp_path: Path) -> None:
    x, y = (torch.randn(2, 12, 5, 7).to(memory_format=torch.channels_last) for _ in range(2))
    module = Gated()
    made = load(module, [x, y], tmp_path)
    assert made.ORDERS == [(0, 2, 3, 1)] * 2 and made.OUTPUT_ORDERS == [(0, 2, 3, 1), ()]
    fast = made.ModelNew.from_module(module)
    wide = torch.randn(2, 20, 5, 7).to(memory_format=torch.channels_last)
    wide[:, 3:15] = x
    for given in ((x, y), (x.contiguous(), y), (wide[:, 3:15], y.contiguous())):
        for got, want in zip(fast(*given), module(x, y), strict=True):
            same(got, want)
    assert fast(x, y)[0].stride() == module(x, y)[0].stride()
    for room in (torch.empty(2, 12, 5, 7), torch.empty_like(x)):
        out = (room, torch.empty(2, 12))
        fast.run(x, y, out)
        same(out[0], module(x, y)[0])


@torch.no_grad()
def test_an_input_with_gaps_is_copied_along_memory(tmp_path: Path) -> None:
    x, y = (torch.randn(2, 20, 5, 7).to(memory_format=torch.channels_last)[:, 3:15] for _ in range(2))
    module = Gated()
    made = load(module, [x, y], tmp_path)
    assert made.ORDERS == [(0, 2, 3, 1)] * 2 and made.OUTPUT_ORDERS == [(0, 2, 3, 1), ()]
    fast = made.ModelNew.from_module(module)
    for given in ((x, y), (x.contiguous(), y.contiguous())):
        for got, want in zip(fast(*given), module(x, y), strict=True):
            same(got, want)


class Places(nn.Module):
    """Windows, samples and library calls on tensors that are not contiguous."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        pooled = nn.functional.max_pool2d(x, 3, 2, 1, return_indices=True)
        averages = nn.functional.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False).exp()
        larger = nn.functional.interpolate(x, scale_factor=2)
        return (*pooled, averages, larger, torch.sort(y, dim=0)[0])


@torch.no_grad()
def test_pools_samples_and_library_calls_keep_the_order_of_memory(tmp_path: Path) -> None:
    x, y = torch.randn(2, 12, 5, 7).to(memory_format=torch.channels_last), torch.randn(11, 13).T
    module = Places()
    made = load(module, [x, y], tmp_path)
    fast = made.ModelNew()
    for given in ((x, y), (x.contiguous(), y.contiguous())):
        for got, want in zip(fast(*given), module(x, y), strict=True):
            torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)
            assert got.stride() == want.stride()
    assert made.OUTPUT_ORDERS == [(0, 2, 3, 1)] * 4 + [(1, 0)]


@torch.no_grad()
def test_a_transposed_input_is_read_where_it_lies(tmp_path: Path) -> None:
    class Product(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return torch.relu(a @ b)

    module, given = Product(), [torch.randn(29, 37).T, torch.randn(31, 29).T]
    made = load(module, given, tmp_path)
    assert made.ORDERS == [(1, 0), (1, 0)]
    fast = made.ModelNew.from_module(module)
    same(fast(*given), module(*given))
    same(fast(*(t.contiguous() for t in given)), module(*given))


@torch.no_grad()
def test_a_library_call_sees_a_repeated_index_as_one(tmp_path: Path) -> None:
    class Added(nn.Module):
        def forward(self, x: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
            found = where[:, None].expand(-1, x.shape[1])
            return torch.zeros(7, x.shape[1]).scatter_reduce(0, found, x[1:] * 2, "prod")

    module, x, where = Added(), torch.randn(24, 5), torch.randint(0, 7, (23,))
    made = load(module, [x, where], tmp_path)
    assert "(23, 5), (1, 0), 0)" in (tmp_path / "kernel.py").read_text()
    same(made.ModelNew.from_module(module)(x, where), module(x, where))


@torch.no_grad()
def test_changed_weights_are_packed_again(tmp_path: Path) -> None:
    module, x = Affine(), torch.randn(23, 37)
    fast = load(module, [x], tmp_path).ModelNew.from_module(module)
    fast(x)
    module.fc.weight.mul_(3.0)
    same(fast(x)[0], module(x)[0])
    other = Affine()
    fast.load_state_dict(other.state_dict())
    same(fast(x)[0], other(x)[0])


def test_what_it_was_not_built_for_is_refused_or_sent_to_the_original(tmp_path: Path) -> None:
    module, x = Affine(), torch.randn(23, 37)
    made = load(module, [x], tmp_path)
    refusing = made.ModelNew()
    refusing.load_state_dict(module.state_dict())
    with torch.no_grad(), pytest.raises(ValueError, match=r"built for .* got .*\[7, 37\]"):
        refusing(torch.randn(7, 37))
    with torch.no_grad(), pytest.raises(ValueError, match="float64"):
        refusing(x.double())
    with pytest.raises(ValueError, match="gradient"):
        refusing(x.clone().requires_grad_())
    sending = made.ModelNew.from_module(module)
    leaf = x.clone().requires_grad_()
    sending(leaf)[0].sum().backward()
    assert leaf.grad is not None
    same(sending(torch.ones(7, 37))[0], module(torch.ones(7, 37))[0])


@torch.no_grad()
def test_library_calls_stay_inside_the_drop_in(tmp_path: Path) -> None:
    module, x = Library(), torch.randn(11, 53)
    made = load(module, [x], tmp_path)
    same(made.ModelNew.from_module(module)(x), module(x))
    assert "torch.ops.aten.sort" in (tmp_path / "kernel.py").read_text()


@torch.no_grad()
def test_running_statistics_are_updated(tmp_path: Path) -> None:
    module, x = Norm(), torch.randn(31, 19) * 3 + 1
    made = load(module, [x], tmp_path)
    fast = made.ModelNew()
    fast.load_state_dict(module.state_dict())
    same(fast(x), module(x))
    same(fast._state("norm.running_mean"), module.norm.running_mean)
    same(fast._state("norm.running_var"), module.norm.running_var)
    assert int(fast._state("norm.num_batches_tracked")) == int(module.norm.num_batches_tracked)


@torch.no_grad()
def test_destination_passing_and_the_custom_operator(tmp_path: Path) -> None:
    module, x = Affine(), torch.randn(23, 37)
    made = load(module, [x], tmp_path, "kerftest::affine")
    fast = made.ModelNew.from_module(module)
    out = (torch.empty(23, 29), torch.empty(23))
    fast.run(x, out)
    same(out[1], module(x)[1])
    turned = (torch.empty(29, 23).T, torch.empty(46)[::2])
    fast.run(x, turned)
    same(turned[0], module(x)[0])
    same(turned[1], module(x)[1])
    operator = made.register(fast)
    same(operator([x])[0], module(x)[0])


@torch.no_grad()
def test_the_custom_operator_says_how_its_results_lie(tmp_path: Path) -> None:
    given = [torch.randn(2, 12, 5, 7).to(memory_format=torch.channels_last) for _ in range(2)]
    module = Gated()
    made = load(module, given, tmp_path, "kerftest::gated")
    operator = made.register(made.ModelNew.from_module(module))
    torch.library.opcheck(operator, (given,), test_utils=("test_schema", "test_faketensor"))
    same(operator(given)[0], module(*given)[0])


def test_it_imports_no_kerf_and_obeys_the_thread_count(tmp_path: Path) -> None:
    module, x = Affine(), torch.randn(23, 37)
    made = load(module, [x], tmp_path)
    assert "import kerf" not in (tmp_path / "kernel.py").read_text()
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with torch.no_grad():
                results.append(made.ModelNew.from_module(module)(x)[0])
        same(*results)
    finally:
        torch.set_num_threads(before)


class Structured(nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, object]:
        return {"sum": x.sum(), "both": [x * 2.0, (x + 1.0, None)]}


@torch.no_grad()
def test_results_come_back_in_the_original_structure(tmp_path: Path) -> None:
    module, x = Structured(), torch.randn(5, 7)
    got = load(module, [x], tmp_path).ModelNew.from_module(module)(x)
    want = module(x)
    same(got["sum"], want["sum"])
    same(got["both"][1][0], want["both"][1][0])
    assert got["both"][1][1] is None and isinstance(got["both"], list)


class Pair(NamedTuple):
    low: torch.Tensor
    high: torch.Tensor


class Naming(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[object, ...]:
        return x.max(1), Pair(x - 1, x + 1), {"one": (x * 2,)}


@torch.no_grad()
def test_named_results_keep_their_names(tmp_path: Path) -> None:
    module, x = Naming(), torch.randn(5, 7)
    most, pair, other = load(module, [x], tmp_path).ModelNew()(x)
    same(most.values, x.max(1).values)
    assert torch.equal(most.indices, x.max(1).indices) and type(most) is torch.return_types.max
    same(pair.high, x + 1)
    assert pair._fields == Pair._fields and type(other["one"]) is tuple


@torch.no_grad()
def test_it_can_be_copied_and_pickled(tmp_path: Path) -> None:
    module, x = Affine(), torch.randn(23, 37)
    fast = load(module, [x], tmp_path).ModelNew()
    fast.load_state_dict(module.state_dict())
    fast(x)
    for twin in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        same(twin(x)[0], module(x)[0])


def test_empty_tensors_are_refused_in_words() -> None:
    with pytest.raises(KerfError, match="empty"):
        builder(from_module(nn.Linear(4, 4), [torch.randn(0, 4)]), threads=1)


class Recalls(nn.Module):
    """Keeps its hidden state as an attribute, which a call may set first."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = torch.randn(3, 7)
        self.cell = nn.Linear(12, 7)

    def forward(self, x: torch.Tensor, start: torch.Tensor | None = None) -> torch.Tensor:
        if start is not None:
            self.hidden.copy_(start)
        self.hidden = torch.tanh(self.cell(torch.cat((x, self.hidden), dim=1)))
        return self.hidden * 2


def test_state_kept_in_an_attribute_goes_on_from_call_to_call(tmp_path: Path) -> None:
    module, x, start = Recalls(), torch.randn(3, 5), torch.randn(3, 7)
    made = load(module, [x, start], tmp_path)
    plain, fast = copy.deepcopy(module), made.ModelNew.from_module(module)
    with torch.no_grad():
        for args in [(x,), (x + 1, start), (x,), (x,), (x - 1, start)]:
            torch.testing.assert_close(fast(*args), plain(*args), rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(fast.hidden, plain.hidden, rtol=1e-5, atol=1e-5)


def test_a_result_that_rests_on_the_last_call_is_refused() -> None:
    with pytest.raises(KerfError, match=r"Recalls remembers.*'hidden'.*as an argument"):
        builder(from_module(Recalls(), [torch.randn(3, 5)]), threads=1)
