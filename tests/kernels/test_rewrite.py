"""Rewrites: what each finds, that each keeps its parent, and that a wrong one is not kept."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from tests.kernels.test_graph import Calls
from tests.kernels.test_lower import kinds, randn
from torch import nn

from kerf.kernels.folding import bounds, folded
from kerf.kernels.graph import capture
from kerf.kernels.interpret import bind, interpret
from kerf.kernels.ir import Const, Contract, Conv, DType, Map, Program, Reduce, apply, text
from kerf.kernels.lower import lower
from kerf.kernels.proof import equivalent
from kerf.kernels.rewrite import simplify


def steps(program: Program) -> list[str]:
    return [] if program.parent is None else [*steps(program.parent), program.step]


def both(fn, *inputs: torch.Tensor) -> tuple[Program, Program]:
    module = Calls(fn)
    before = lower(capture(module, inputs))
    after = simplify(before)
    for program in (before, after):
        got = interpret(program, bind(program, module, inputs))
        for name, want in zip(program.outputs, torch.utils._pytree.tree_leaves(fn(*inputs)), strict=True):
            torch.testing.assert_close(got[name], want, rtol=1e-4, atol=1e-4)
    return before, after


def test_neutral_elements_and_clamps_that_cannot_bite():
    _, after = both(lambda x: ((x * 1.0 + 0.0) / 1.0).sigmoid().relu().clamp(0.0, 1.0), randn(3, 4))
    assert len(after.ops) == 1 and text(after.ops[0]).endswith("sigmoid(in_args_0[i0, i1])")


def test_adding_zero_to_a_tensor_survives_as_negative_zero_where_it_matters():
    x = Const(-0.0, DType.F32)
    assert folded(apply("mul", x, Const(1.0, DType.F32))) == x


def test_bounds_follow_clamps():
    x = apply(
        "min",
        apply("max", apply("tanh", Const(2.0, DType.F32)), Const(0.0, DType.F32)),
        Const(0.5, DType.F32),
    )
    assert bounds(x) == (0.0, 0.5)


def test_a_matmul_that_is_summed_becomes_a_vector_product():
    before, after = both(
        lambda x, w, b: ((x @ w.T + b) / 2).sum(1, keepdim=True) * 1.5, randn(4, 9), randn(7, 9), randn(7)
    )
    assert "sum_before_contracting" in steps(after)
    (product,) = [op for op in after.ops if isinstance(op, Contract)]
    assert product.out.shape == (4,) and next(
        op for op in before.ops if isinstance(op, Contract)
    ).out.shape == (4, 7)


def test_a_product_with_another_reader_is_left_alone():
    _, kept = both(lambda x, w: (lambda y: (y.sum(1), y))(x @ w), randn(4, 9), randn(9, 7))
    assert "sum_before_contracting" not in steps(kept)


def test_reductions_of_one_element_vanish():
    _, after = both(lambda x: torch.logsumexp(x.sum(1, keepdim=True).mean(1, keepdim=True), 1), randn(4, 9))
    assert kinds(after).count(Reduce) == 1


def test_sums_over_coordinates_are_written_out():
    _, after = both(lambda p: ((p[:, None] - p[None]) ** 2).sum(-1), randn(9, 3))
    assert kinds(after) == [Map]
    _, after = both(lambda x: x.sum(1), randn(3, 4, 9))  # vectors run over its points already
    assert kinds(after) == [Reduce]


def test_equal_ops_are_computed_once():
    _, after = both(lambda x: x.softmax(1) * x.logsumexp(1, keepdim=True), randn(4, 9))
    assert sum(isinstance(op, Reduce) and op.kind == "max" for op in after.ops) == 1


def test_every_step_keeps_its_parent_and_its_name():
    before, after = both(lambda x, w: (x @ w).reshape(2, 2, 7).mean(2), randn(4, 9), randn(9, 7))
    root = after
    while root.parent is not None:
        root = root.parent
    assert root.ops == before.ops and all(steps(after))


def test_a_wrong_rewrite_is_refused():
    def drop_the_bias(program: Program) -> Program | None:
        op = program.ops[-1]
        assert isinstance(op, Map)
        if op.value.args[0].op != "add":  # type: ignore[union-attr]
            return None
        wrong = Map(op.out, op.axes, apply("tanh", op.value.args[0].args[0]))  # type: ignore[union-attr]
        return program.rewritten("drop_the_bias", (*program.ops[:-1], wrong))

    program = lower(capture(nn.Sequential(nn.Linear(5000, 4000), nn.Tanh()), (randn(3000, 5000),)))
    bad = drop_the_bias(program)
    assert bad is not None and not equivalent(program, bad)
    assert simplify(program, (drop_the_bias,)) is program


@pytest.mark.parametrize("size", [3, 3000])
def test_proofs_are_cheap_at_any_size(size):
    program = lower(
        capture(Calls(lambda x, w: (x @ w).sum(1)), (torch.empty(size, size), torch.empty(size, size)))
    )
    assert "sum_before_contracting" in steps(simplify(program))


@pytest.mark.parametrize(
    ("convolve", "weight", "pool", "channels"),
    [
        (lambda x, w, b: F.conv2d(x, w, b), (5, 3, 1, 1), lambda y: F.avg_pool2d(y, 2), 3),
        (lambda x, w, b: F.conv2d(x, w, b, groups=3), (6, 1, 1, 1), lambda y: F.avg_pool2d(y, 3, 2), 3),
        (lambda x, w, b: F.conv2d(x, w, b), (5, 3, 3, 3), lambda y: F.avg_pool2d(y, 4), 3),
        (lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1), (5, 3, 5, 4), lambda y: F.avg_pool2d(y, (6, 7)), 3),
        (lambda x, w, b: F.conv2d(x, w, b, padding=2, groups=2), (4, 2, 5, 3), lambda y: F.avg_pool2d(y, 3), 4),
    ],
)  # fmt: skip
def test_an_average_goes_before_a_convolution_or_into_its_filters(convolve, weight, pool, channels):
    out = weight[0]
    before, after = both(
        lambda x, w, b: pool(convolve(x, w, b)).sigmoid(), randn(2, channels, 29, 31), randn(*weight), randn(out)
    )  # fmt: skip
    assert "average_before_convolving" in steps(after)
    work = [_products(p) for p in (before, after)]
    assert work[1] <= work[0] / 3


@pytest.mark.parametrize(
    "fn",
    [
        lambda x, w, b: F.avg_pool2d(
            F.conv2d(x, w, b), 2
        ),  # four 3 x 3 filters are hardly more than one of 4 x 4
        lambda x, w, b: F.avg_pool2d(F.conv2d(x, w, b), 4, padding=1),
        lambda x, w, b: F.avg_pool2d(F.conv2d(x, w, b), 4, ceil_mode=True),
        lambda x, w, b: F.avg_pool2d(F.conv2d(x, w, b), 4, divisor_override=3),
        lambda x, w, b: F.max_pool2d(F.conv2d(x, w, b), 4),
        lambda x, w, b: (lambda y: (F.avg_pool2d(y, 4), y))(F.conv2d(x, w, b)),
        lambda x, w, b: F.avg_pool2d(F.conv2d(x, w, b, dilation=2), 4),
    ],
)
def test_an_average_stays_where_it_is_not_one_of_plain_results_or_saves_little(fn):
    _, after = both(fn, randn(2, 3, 17, 19), randn(5, 3, 3, 3), randn(5))
    assert "average_before_convolving" not in steps(after)


def _products(program: Program) -> int:
    """Of all convolutions."""
    found = [(op.out, program.buffers[op.weight]) for op in program.ops if isinstance(op, Conv)]
    return sum(math.prod(out.shape) * math.prod(weight.shape[1:]) for out, weight in found)
