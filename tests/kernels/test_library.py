"""What no generator covers is called inside the candidate, with generated code around it, and fails as the original does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.kernels.test_dropin import load, same
from tests.kernels.test_graph import Calls
from tests.kernels.test_lower import calls, randn

from kerf.core.types import KerfError
from kerf.kernels.ir import Library, Program
from kerf.kernels.lower import lower_module


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
    def each(m: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(fn(m.tanh(), b).exp() for fn in CHECKED.values())

    assert called(calls(each, randn(2, 6, 6), randn(2, 6, 3))) == list(CHECKED)


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


def test_least_squares_and_what_of_it_depends_on_data():
    a, b = randn(3, 7, 4), randn(3, 7, 2)
    for options in ({}, {"driver": "gels"}, {"driver": "gelsd", "rcond": 1e-5}):
        program = calls(lambda a, b, o=options: torch.linalg.lstsq(a.tanh(), b, **o).solution.exp(), a, b)
        assert called(program) == ["linalg_lstsq"]
    calls(lambda a: torch.linalg.lstsq(a, a[..., 0]).solution * 2, a)
    calls(lambda a, b: torch.linalg.lstsq(a, b[:1], driver="gelsd")[2:], a, b)
    with pytest.raises(KerfError, match="residuals"):
        lower_module(Calls(lambda a, b: torch.linalg.lstsq(a, b, driver="gels").residuals * 2), [a, b])


@pytest.mark.parametrize("lengths", [lambda n: torch.full((4,), n), lambda n: (n,) * 4])
def test_connectionist_temporal_classification(lengths: Callable[[int], object]):
    x, y = randn(8, 4, 6), torch.tensor([[1, 2], [3, 4], [5, 1], [2, 2]])

    def loss(x, y, **options):
        return torch.nn.functional.ctc_loss((x * 2).log_softmax(-1), y, lengths(8), lengths(2), **options) * 3

    assert called(calls(loss, x, y)) == ["ctc_loss"]
    calls(lambda x, y: loss(x, y, reduction="none", zero_infinity=True), x, y)


def test_covariances_ask_nothing():
    x = randn(5, 9)
    calls(lambda x: (x.cov(), torch.cov(x[0], correction=0), torch.corrcoef(x), x[1].corrcoef()), x)
    calls(lambda x: torch.view_as_real(torch.cov(torch.complex(x[:2], x[2:4]))), x)
    counts = torch.tensor([1, 2, 0, 4, 1, 1, 3, 1, 2])
    calls(
        lambda x, n: (x.cov(fweights=n), x.cov(aweights=x[0].exp(), fweights=n), x.cov(aweights=x[0].exp())),
        x,
        counts,
    )
    assert "cov" not in vars(torch.Tensor)


def test_combinations():
    calls(
        lambda x: (
            torch.combinations(x),
            torch.combinations(x, 3, with_replacement=True),
            torch.combinations(x[:1]),
        ),
        randn(5),
    )


def test_distributions_are_not_asked_whether_values_lie_in_their_support():
    from torch import distributions as D

    m, b = randn(2, 6, 6), randn(2, 6)
    made = calls(lambda m, b: D.MultivariateNormal(b, positive(m)).log_prob(b * 2), m, b)
    assert called(made) == ["linalg_cholesky", "linalg_solve_triangular"]
    calls(lambda m, b: D.MultivariateNormal(b, precision_matrix=positive(m)).log_prob(b * 2), m, b)
    calls(
        lambda m: (
            D.kl_divergence(D.Normal(m, m.exp()), D.Normal(0.0, 1.0)),
            D.Categorical(logits=m).entropy(),
        ),
        m,
    )
    assert D.Distribution._validate_args


def test_writes_are_selects():
    x, y, ids = randn(4, 6), randn(6, 4).T, torch.tensor([[1], [5], [0], [2]])

    def each(x, y, ids):
        masked, ruled = x.clone(), x.clone()
        masked[x > 0] = 0.5
        masked[:, x[0] > 0] = y[:, :1]
        ruled[::2, 1::3] = y[:2, :2]
        ruled.diagonal(1).add_(2)
        ruled[0, 1] = -1
        hot = torch.zeros(4, 6).scatter_(1, ids, 1.0)
        return (
            masked,
            ruled,
            hot,
            x.scatter_add(1, ids.expand(4, 2), y),
            x.index_put((x < 0,), x[0, 0], accumulate=True),
        )

    assert not called(calls(each, x, y, ids))


def test_writes_that_are_found_by_their_places_are_library_calls():
    def each(x, i):
        x = x.clone()
        x[i % 4, i] = 1.0
        return x.index_add(1, i, x[:, :5]).scatter(1, i.expand(4, 5), 2.0)

    assert called(calls(each, randn(4, 6), torch.tensor([0, 2, 5, 1, 3]))) == [
        "index_put",
        "index_add",
        "scatter",
    ]
