"""The error model lets honest rounding through and nothing coarser."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kerf.kernels.referee.compare import compare
from kerf.kernels.referee.elements import exponent
from kerf.kernels.referee.tolerance import reference_outputs


class Product(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.relu(a @ b)


@pytest.fixture(scope="module")
def arguments() -> list[torch.Tensor]:
    torch.manual_seed(5)
    return [torch.randn(128, 300), torch.randn(300, 90)]


def test_another_order_of_summation_passes(arguments: list[torch.Tensor]) -> None:
    a, b = arguments
    backwards = torch.relu(sum(a[:, k : k + 7] @ b[k : k + 7] for k in reversed(range(0, 300, 7))))
    assert compare(backwards, reference_outputs(Product(), arguments)[0]).passed


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrower_arithmetic_fails(arguments: list[torch.Tensor], dtype: torch.dtype) -> None:
    answer = torch.relu(arguments[0].to(dtype).float() @ arguments[1].to(dtype).float())
    assert not compare(answer, reference_outputs(Product(), arguments)[0]).passed


class Cancelling(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.exp(x) - y


def test_a_rare_cancellation_is_judged_by_its_own_error() -> None:
    """Many small elements, and one as small that is what remains of 1 - 1: there an ulp of the terms is honest, and no more than ulps."""
    x, y = torch.full((4001,), -11.5), torch.zeros(4001)
    x[77], y[77] = -(2.0**-17), 1.0
    right = Cancelling()(x.double(), y.double()).float()
    expected = reference_outputs(Cancelling(), [x, y], seed=1)[0]
    assert float(expected.table[exponent(right)[77]]) < 2.0**-24, (
        "the few variants of the first look missed it"
    )
    for off, honest in ((2.0**-24, True), (2.0**-23, True), (2.0**-16, False)):
        answer = right.clone()
        answer[77] += off
        assert compare(answer, expected).passed == honest


@pytest.mark.parametrize("dtype, scale", [(torch.bfloat16, 1e4), (torch.float16, 300.0)])
def test_a_rare_sum_that_cancels_may_be_added_in_any_order_in_16_bits(
    dtype: torch.dtype, scale: float
) -> None:
    """One element of a product is what remains of large terms. Chips that add pairs lose nothing, as neighbours cancel; another order is as
    honest, and off by what float32 loses of the partial sums: more than the result's own rounding to 16 bits."""
    g = torch.Generator().manual_seed(3)
    a, b = torch.randn(64, 2048, generator=g), torch.randn(2048, 64, generator=g)
    a[0], b[1::2, 0] = a[0, ::2].repeat_interleave(2) * scale, -b[::2, 0]
    a, b = a.to(dtype), b.to(dtype)
    b[0, 0] += abs(b[0, 0]) * torch.finfo(dtype).eps
    order = torch.randperm(2048, generator=g)
    answer = sum((a.float()[:, order[i::7]] @ b.float()[order[i::7]] for i in range(7)), torch.zeros(64, 64))
    expected = reference_outputs(Matmul(), [a, b], seed=1)[0]
    assert compare(answer.to(dtype), expected).passed
    answer[0, 0] += 1e-4 * (a[0].float() * b[:, 0].float()).norm()
    assert not compare(answer.to(dtype), expected).passed


class Matmul(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a @ b


def test_nan_and_infinity_must_be_in_place() -> None:
    x = torch.tensor([[1.0, float("nan"), float("inf"), -2.0]])
    expected = reference_outputs(nn.ReLU(), [x])[0]
    right = torch.relu(x)
    assert compare(right, expected).passed
    for i in (1, 2, 3):
        wrong = right.clone()
        wrong[0, i] = 7.0
        assert not compare(wrong, expected).passed


def test_a_near_tie_of_argmax_is_judged_by_value() -> None:
    class Arg(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.argmax(x, dim=1)

    x = torch.tensor([[1.0, 2.0, 2.0, 0.0], [3.0, 1.0, 0.0, -1.0]])
    expected = reference_outputs(Arg(), [x])[0]
    assert compare(torch.tensor([2, 0]), expected).passed and compare(torch.tensor([1, 0]), expected).passed
    assert not compare(torch.tensor([0, 0]), expected).passed
    assert not compare(torch.tensor([1, 9]), expected).passed
