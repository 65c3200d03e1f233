"""Rewrites: what each finds, that each keeps its parent, and that a wrong one is not kept."""

from __future__ import annotations

import pytest
import torch
from tests.kernels.test_graph import Calls
from tests.kernels.test_lower import kinds, randn
from torch import nn

from kerf.kernels.folding import bounds, folded
from kerf.kernels.graph import capture
from kerf.kernels.interpret import bind, interpret
from kerf.kernels.ir import Const, Contract, DType, Map, Program, Reduce, apply, text
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
