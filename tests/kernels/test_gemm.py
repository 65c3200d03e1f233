"""Contractions of every form against float64 sums."""

from __future__ import annotations

import random

import pytest
import torch

from kerf.kernels.codegen.gemm import TEMPLATE
from kerf.kernels.codegen.standalone import TORCH_DTYPE, standalone
from kerf.kernels.ir import (
    Axis,
    Buffer,
    Const,
    Contract,
    DType,
    Expr,
    Group,
    Index,
    Load,
    Map,
    Role,
    apply,
)
from kerf.kernels.targets.cpu import native

I, J, K, B = Index("i"), Index("j"), Index("k"), Index("b")  # noqa: E741


def load(buffer: Buffer, *index: Expr) -> Load:
    return Load(buffer.name, index, buffer.dtype.compute)


def matmul(m: int, n: int, k: int, *, batch: int = 0, ta: bool = False, tb: bool = False, dtype: DType = DType.F32,
           weights: str = "", epilogue: str = "") -> Group:  # fmt: skip
    """out[b, i, j] = sum_k lhs * rhs, either operand transposed; `weights` names the operand that is a parameter."""

    def operand(
        name: str, rows: int, columns: int, index: tuple[Expr, Expr], turned: bool
    ) -> tuple[Buffer, Load]:
        shape = (columns, rows) if turned else (rows, columns)
        role = Role.PARAM if weights == name else Role.INPUT
        buffer = Buffer(
            name, (batch, *shape) if batch else shape, dtype, role, "w" if weights == name else ""
        )
        where = tuple(reversed(index)) if turned else index
        return buffer, load(buffer, *((B, *where) if batch else where))

    x, lhs = operand("x", m, k, (I, K), ta)
    y, rhs = operand("y", k, n, (K, J), tb)
    axes = (*((Axis("b", batch),) if batch else ()), Axis("i", m), Axis("j", n))
    shape = tuple(a.extent for a in axes)
    out = Buffer("s", shape, dtype)
    contract = Contract(out, axes, (Axis("k", k),), lhs, rhs)
    if not epilogue:
        return Group("g", (contract,), (x, y), (out,))
    bias = Buffer("bias", (n,), dtype, Role.PARAM, "bias")
    made, values = Buffer("o", shape, dtype), load(out, *(Index(a.name) for a in axes))
    value = apply("max", apply("add", values, load(bias, J)), Const(0.0, values.dtype))
    if epilogue == "triangle":
        value = apply("select", apply("le", J, I), values, Const(0.0, values.dtype))
    return Group(
        "g", (contract, Map(made, axes, value)), (x, y, bias) if epilogue == "bias" else (x, y), (made,)
    )


def draw(group: Group, seed: int = 0) -> list[torch.Tensor]:
    torch.manual_seed(seed)
    return [
        torch.randn(b.shape, dtype=torch.float64).to(TORCH_DTYPE[b.dtype])
        if b.dtype.is_float
        else torch.randint(-5, 6, b.shape).to(TORCH_DTYPE[b.dtype])
        for b in group.inputs
    ]


def check(group: Group, expected: torch.Tensor, inputs: list[torch.Tensor], k: int, **how: object) -> None:
    got = standalone(group, template=TEMPLATE, **how).call(inputs)[0]  # type: ignore[arg-type]
    unit = {torch.float64: 1e-15, torch.float32: 6e-8, torch.bfloat16: 4e-3, torch.float16: 5e-4}[got.dtype]
    atol = unit * (8 + 4 * k)
    torch.testing.assert_close(got.double(), expected, rtol=unit * 4, atol=atol)


def expect(
    group: Group, inputs: list[torch.Tensor], ta: bool = False, tb: bool = False, epilogue: str = ""
) -> torch.Tensor:
    x, y = inputs[0].double(), inputs[1].double()
    out = (x.mT if ta else x) @ (y.mT if tb else y)
    if epilogue == "bias":
        out = torch.relu(out + inputs[2].double())
    return torch.tril(out) if epilogue == "triangle" else out


SHAPES = [
    (1, 1, 1),
    (7, 13, 5),
    (64, 64, 64),
    (1, 37, 129),
    (53, 1, 77),
    (3, 200, 1),
    (131, 67, 257),
    (29, 97, 31),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("ta,tb", [(False, False), (True, False), (False, True), (True, True)])
def test_every_transposition(shape: tuple[int, int, int], ta: bool, tb: bool) -> None:
    group = matmul(*shape, ta=ta, tb=tb)
    inputs = draw(group)
    check(group, expect(group, inputs, ta, tb), inputs, shape[2])


@pytest.mark.parametrize("seed", range(24))
def test_any_choice_is_right(seed: int) -> None:
    rng = random.Random(seed)
    m, n, k = (rng.choice([1, 2, 5, 17, 33, 61, 97, 130]) for _ in range(3))
    ta, tb = rng.random() < 0.5, rng.random() < 0.5
    epilogue, weights = rng.choice(["", "bias", "triangle"]), rng.choice(["", "x", "y"])
    batch, threads = rng.choice([0, 0, 3]), rng.choice([1, 2, 3])
    dtype = rng.choice([DType.F32, DType.F32, DType.F64, DType.BF16, DType.F16])
    group = matmul(m, n, k, batch=batch, ta=ta, tb=tb, dtype=dtype, weights=weights, epilogue=epilogue)
    decisions = TEMPLATE.decisions(group, native(), threads)
    chosen = {d.name: rng.choice(d.choices) for d in decisions} | {"kc": 128 if k > 128 else 16384}
    inputs = draw(group, seed)
    check(group, expect(group, inputs, ta, tb, epilogue), inputs, k, choices=chosen, threads=threads)
