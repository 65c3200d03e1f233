"""What no generator covers is called inside the candidate, with generated code around it, and fails as the original does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.kernels.test_dropin import load, same
from tests.kernels.test_graph import Calls
from tests.kernels.test_lower import calls, randn

from kerf.kernels.ir import Library, Program


def called(program: Program) -> list[str]:
    return [op.target.split(".")[1] for op in program.ops if isinstance(op, Library)]


def positive(x: torch.Tensor) -> torch.Tensor:
    return x @ x.mT + 4 * torch.eye(x.shape[-1])


CHECKED = {
    "linalg_solve": lambda m, b: torch.linalg.solve(positive(m), b),
    "linalg_inv": lambda m, b: torch.linalg.inv(positive(m)) @ b,
    "inverse": lambda m, b: positive(m).inverse() @ b,
    "linalg_cholesky": lambda m, b: torch.linalg.cholesky(positive(m)) @ b,
    "linalg_lu_factor": lambda m, b: torch.linalg.lu_factor(positive(m))[0] @ b,
    "linalg_ldl_factor": lambda m, b: torch.linalg.ldl_factor(positive(m))[0] @ b,
    "linalg_tensorinv": lambda m, b: torch.linalg.tensorinv(positive(m)[0].view(6, 2, 3), ind=1),
}


def test_factorizations_that_may_fail_are_library_calls_with_generated_code_around_them():
    m, b = randn(2, 6, 6), randn(2, 6, 3)
    for name, fn in CHECKED.items():
        program = calls(lambda m, b, fn=fn: fn(m.tanh(), b).exp(), m, b)
        assert called(program) == [name]


@torch.no_grad()
def test_a_singular_matrix_raises_as_it_does_in_the_original(tmp_path: Path) -> None:
    module = Calls(lambda m, b: torch.linalg.solve(m * 2, b).tanh())
    m, b = positive(randn(2, 6, 6)), randn(2, 6, 3)
    fast = load(module, [m, b], tmp_path).ModelNew.from_module(module)
    same(fast(m, b), module(m, b))
    for run in (module, fast):
        with pytest.raises(torch.linalg.LinAlgError, match="singular"):
            run(torch.zeros(2, 6, 6), b)
    same(fast(m, b), module(m, b))


def test_negative_powers_of_a_matrix_are_an_inverse_and_products():
    assert called(calls(lambda m: torch.linalg.matrix_power(positive(m), -2), randn(2, 5, 5))) == [
        "linalg_inv"
    ]


def test_products_along_the_last_dimension_of_both():
    def inner(x, w, v):
        return (
            torch.inner(x, w),
            torch.inner(x, v),
            torch.inner(v, w),
            torch.inner(v, v),
            torch.inner(x, v[0]),
        )

    assert not called(calls(inner, randn(3, 4, 5), randn(5, 5), randn(5)))
