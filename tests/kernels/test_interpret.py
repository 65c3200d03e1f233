"""The interpreter against plain torch, op by op where lowering does not reach."""

from __future__ import annotations

import pytest
import torch

from kerf.core.types import KerfError
from kerf.kernels.interpret import interpret
from kerf.kernels.ir import (
    Axis,
    Buffer,
    Const,
    Contract,
    DType,
    Index,
    Load,
    Map,
    Program,
    Reduce,
    Role,
    Scan,
    apply,
    const_index,
    within,
)

A = Buffer("a", (3, 4), DType.F32, Role.INPUT)
ROW, COL = Index("i0"), Index("i1")
AXES = (Axis("i0", 3), Axis("i1", 4))


def load(*index) -> Load:
    return Load("a", index, DType.F32)


def run(op, a: torch.Tensor, double: bool = False) -> torch.Tensor:
    program = Program({"a": A, op.out.name: op.out}, (op,), ("a",), (op.out.name,))
    return interpret(program, {"a": a}, double=double)[op.out.name]


X = torch.arange(12.0).reshape(3, 4) - 5


def out(*shape: int, dtype: DType = DType.F32) -> Buffer:
    return Buffer("o", shape, dtype, Role.OUTPUT)


def test_an_index_past_its_dimension_reads_the_flat_buffer():
    op = Map(out(12), (Axis("i0", 12),), load(const_index(0), ROW))
    assert torch.equal(run(op, X), X.reshape(-1))
    assert not within(op.value, A, {"i0": 12}) and within(load(const_index(2), ROW), A, {"i0": 4})


def test_a_read_outside_the_buffer_is_an_error_unless_a_select_guards_it():
    shifted = apply("sub", COL, const_index(2))
    with pytest.raises(KerfError, match="outside"):
        run(Map(out(3, 4), AXES, load(const_index(0), shifted)), X)
    guarded = apply(
        "select", apply("ge", COL, const_index(2)), load(ROW, shifted), Const(0.0, DType.F32), dtype=DType.F32
    )
    want = torch.nn.functional.pad(X, (2, 0))[:, :4]
    assert torch.equal(run(Map(out(3, 4), AXES, guarded), X), want)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("exclusive", [False, True])
def test_scans_reverse_and_exclusive(reverse, exclusive):
    got = run(Scan(out(3, 4), AXES, "i1", "sum", load(ROW, COL), reverse, exclusive), X)
    want = X.flip(1) if reverse else X
    want = want.cumsum(1) - (want if exclusive else 0)
    assert torch.equal(got, want.flip(1) if reverse else want)


def test_contraction_with_a_reduced_axis_on_one_side_only_sums_it():
    op = Contract(
        out(3),
        (Axis("i0", 3),),
        (Axis("r0", 4), Axis("r1", 5)),
        load(ROW, Index("r0")),
        Const(2.0, DType.F32),
    )
    assert torch.equal(run(op, X), X.sum(1) * 10)


def test_arg_reductions_take_the_first_winner_and_nan_wins():
    a = torch.tensor([[1.0, 3, 3, 0], [1, float("nan"), 9, 9], [2, 2, 2, 2]])
    op = Reduce(out(3, dtype=DType.I64), (Axis("i0", 3),), (Axis("r0", 4),), "argmax", load(ROW, Index("r0")))
    assert run(op, a).tolist() == [1, 1, 0]


def test_double_keeps_what_single_precision_loses():
    op = Map(
        out(3, 4),
        AXES,
        apply("sub", apply("add", load(ROW, COL), Const(1e8, DType.F32)), Const(1e8, DType.F32)),
    )
    assert torch.allclose(run(op, X + 0.25, double=True), X.double() + 0.25, rtol=1e-6)
    assert not torch.equal(run(op, X + 0.25), X + 0.25)


def test_a_missing_tensor_is_named():
    with pytest.raises(KerfError, match="a"):
        interpret(Program({"a": A}, (), ("a",), ()), {})
