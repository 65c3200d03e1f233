"""Arithmetic of fewer bits than float32's is found out where sums have few terms, and every honest order of summation passes there."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from kerf.kernels.contract import Contract, Rule
from kerf.kernels.distributions import draw_rule
from kerf.kernels.referee.compare import compare
from kerf.kernels.referee.tolerance import Expected, reference_outputs

Product = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def drawn(*shapes: tuple[int, ...], kind: str = "sparse") -> list[torch.Tensor]:
    rules = tuple(Rule(f"x{i}", "float32", s) for i, s in enumerate(shapes))
    return Contract(rules).draw(torch.Generator().manual_seed(11), kind)


def parts(x: torch.Tensor, count: int) -> list[torch.Tensor]:
    found = []
    for _ in range(count):
        found.append(x.bfloat16().float())
        x = x - found[-1]
    return found


def two_parts(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    (ah, al), (bh, bl) = ([p.double() for p in parts(x, 2)] for x in (a, b))
    return (al @ bh + ah @ bl + ah @ bh).float()


def sixteen_bits(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    a, b = (sum(p.double() for p in parts(x, 2)) for x in (a, b))
    return (a @ b).float()


def ten_bits(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    a, b = (
        ((x.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32).double() for x in (a, b)
    )
    return (a @ b).float()


def half_inputs(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a.half().double() @ b.half().double()).float()


def six_products(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    (a0, a1, a2), (b0, b1, b2) = parts(a, 3), parts(b, 3)
    return a2 @ b0 + a0 @ b2 + a1 @ b1 + a1 @ b0 + a0 @ b1 + a0 @ b0


def one_accumulator(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    total = a[..., :1] * b[..., :1, :]
    for k in range(1, a.shape[-1]):
        total = total + a[..., k : k + 1] * b[..., k : k + 1, :]
    return total


NARROW = [two_parts, sixteen_bits, ten_bits, half_inputs]
HONEST = [one_accumulator, six_products, torch.matmul]


class Matmul(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a @ b


class Attention(nn.Module):
    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, v)


def attention(product: Product, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    powers = torch.exp(product(q, k.mT.contiguous()) / math.sqrt(q.shape[-1]))
    total = torch.cumsum(powers, -1)[..., -1:]
    return product(powers, v) / total


def expected(module: nn.Module, args: list[torch.Tensor]) -> Expected:
    return reference_outputs(module, args, few_terms=True)[0]


@pytest.fixture(scope="module")
def long_product() -> tuple[list[torch.Tensor], Expected]:
    args = drawn((24, 6000), (6000, 20))
    return args, expected(Matmul(), args)


@pytest.fixture(scope="module")
def heads() -> tuple[list[torch.Tensor], Expected]:
    args = drawn(*[(2, 2, 96, 32)] * 3)
    return args, expected(Attention(), args)


@pytest.mark.parametrize("product", [*NARROW, *HONEST], ids=lambda p: p.__name__)
def test_long_products(product: Product, long_product: tuple[list[torch.Tensor], Expected]) -> None:
    args, wanted = long_product
    assert compare(product(*args), wanted).passed == (product in HONEST)


@pytest.mark.parametrize("product", [*NARROW, *HONEST], ids=lambda p: p.__name__)
def test_attention(product: Product, heads: tuple[list[torch.Tensor], Expected]) -> None:
    args, wanted = heads
    assert compare(attention(product, *args), wanted).passed == (product in HONEST)


def test_sixteen_bits_show_nowhere_else_in_long_sums_of_one_sign() -> None:
    """Why there is such a class of values: beside what an honest order of summation may do, the rounding averages out."""
    a, b = drawn((24, 6000), (6000, 20), kind="negative")
    assert compare(two_parts(a, b), reference_outputs(Matmul(), [a, b])[0]).passed


_B = torch.tensor([[4.0, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
                   [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]])  # fmt: skip
_G = torch.tensor([[6.0, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_A = torch.tensor([[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])


def winograd(product: Product, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """F(4x4, 3x3) of an image whose sides are multiples of four."""
    tiles = nn.functional.pad(x, (1, 1, 1, 1)).unfold(2, 6, 4).unfold(3, 6, 4)
    n, c, high, wide = tiles.shape[:4]
    v = (_B @ tiles @ _B.T).permute(4, 5, 1, 0, 2, 3).reshape(36, c, -1)
    u = (_G @ weight @ _G.T).permute(2, 3, 0, 1).reshape(36, -1, c)
    m = product(u, v).reshape(6, 6, -1, n, high, wide).permute(2, 3, 4, 5, 0, 1)
    return (_A @ m @ _A.T).permute(1, 0, 2, 4, 3, 5).reshape(n, -1, 4 * high, 4 * wide)


def direct(product: Product, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    columns = nn.functional.unfold(x, 3, padding=1)
    return product(weight.flatten(1).expand(x.shape[0], -1, -1), columns).unflatten(2, x.shape[2:])


@pytest.mark.parametrize("product", [*NARROW, *HONEST], ids=lambda p: p.__name__)
@pytest.mark.parametrize("algorithm", [direct, winograd])
def test_convolutions(algorithm: Callable[..., torch.Tensor], product: Product) -> None:
    torch.manual_seed(3)
    module = nn.Conv2d(24, 16, 3, padding=1, bias=False)
    args = drawn((2, 24, 24, 24))
    answer = algorithm(product, *args, module.weight.detach())
    assert compare(answer, expected(module, args)).passed == (product in HONEST)


class Sum(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(-1)


class Square(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x - y).square().sum()


def in_turn(x: torch.Tensor) -> torch.Tensor:
    total = torch.zeros(x.shape[1:])
    for row in x:
        total = total + row
    return total


def test_long_sums() -> None:
    (x,) = drawn((64, 5000))
    wanted = expected(Sum(), [x])
    assert compare(in_turn(x.T), wanted).passed
    assert not compare(sum(p.double() for p in parts(x, 2)).sum(-1).float(), wanted).passed
    x, y = drawn((32, 1024), (32, 1024))  # here the terms are many: only their order shows
    assert compare(in_turn((x - y).square().flatten()), expected(Square(), [x, y])).passed


@pytest.mark.parametrize("module", [nn.LayerNorm(600), nn.GroupNorm(4, 40), nn.Softmax(-1)], ids=repr)
def test_equal_terms_may_round_the_same_way(module: nn.Module) -> None:
    """A norm shifts zeros to one value, a softmax raises them to one: a plain sum of these is off by more than by chance."""
    (x,) = drawn((16, 40, 600) if isinstance(module, nn.GroupNorm) else (40, 600))
    n = 6000 if isinstance(module, nn.GroupNorm) else 600
    rows = x.reshape(-1, n)
    if isinstance(module, nn.Softmax):
        powers = torch.exp(rows - rows.amax(1, keepdim=True))
        answer = powers / in_turn(powers.T)[:, None]
    else:
        rest = rows - in_turn(rows.T)[:, None] / n
        answer = rest / torch.sqrt(in_turn(rest.square().T)[:, None] / n + 1e-5)
    assert compare(answer.reshape(x.shape), expected(module, [x])).passed


@given(st.lists(st.integers(2, 40), min_size=2, max_size=4), st.integers(0, 99))
def test_sparse_values_are_few_in_every_line(shape: list[int], seed: int) -> None:
    rule = Rule("x", "float32", tuple(shape))
    x = draw_rule(rule, "sparse", torch.Generator().manual_seed(seed))
    assert 0 < int(torch.count_nonzero(x)) <= max(8, x.numel() // max(shape[1:]))


def test_complex_answers_are_judged_in_both_parts() -> None:
    class Spectrum(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.fft.rfft(x)

    (x,) = drawn((32, 200))
    wanted = expected(Spectrum(), [x])
    assert compare(Spectrum()(x), wanted).passed
    assert not compare(Spectrum()(x.half().float()), wanted).passed


def test_sparse_values_stay_in_their_range() -> None:
    rule = Rule("x", "float32", (50, 50), domain="range", low=0.25, high=2.0)
    x = draw_rule(rule, "sparse", torch.Generator().manual_seed(0))
    assert float(x.min()) == 0.25 and float(x.max()) <= 2.0 and 20 <= int((x > 0.25).sum()) <= 50
