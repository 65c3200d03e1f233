"""What a contract infers is kept by everything drawn from it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from kerf.core.types import KerfError
from kerf.kernels.contract import HIDDEN, VISIBLE, Contract, Rule
from kerf.kernels.problem import KernelProblem, load_problem, load_text

TEXT = """
import torch

n = 64


class Model(torch.nn.Module):
    def forward(self, x, p, index, mask, low, sym, pos, hot, order, labels, causal, s):
        y = x[index % 64].sum() + torch.log(p).sum() + torch.sqrt(pos).sum() + (low @ sym).sum()
        return y + mask.sum() + hot.sum() + order.sum() + labels.sum() * s + causal.sum()


def get_inputs():
    a = torch.rand(n, n)
    return [a, torch.rand(n, n).softmax(0), torch.randint(0, 10, (n,)), torch.rand(n, n) > 0.3, torch.rand(n, n).tril(),
            (a + a.T) / 2, torch.rand(n, 5), torch.nn.functional.one_hot(torch.randint(0, 10, (n,)), 10).float(),
            torch.rand(n).sort().values, torch.randint(0, 2, (n,)).float() * 2 - 1, torch.ones(n, n).tril().bool(), 3.0]
"""


@pytest.fixture(scope="module")
def problem() -> KernelProblem:
    return load_text(TEXT)


def test_inference(problem: KernelProblem) -> None:
    rules = {r.name: r for r in problem.contract.rules}
    assert {n: r.domain for n, r in rules.items()} == {
        "x": "real", "p": "real", "index": "integer", "mask": "boolean", "low": "real", "sym": "real", "pos": "positive",
        "hot": "choice", "order": "real", "labels": "choice", "causal": "fixed", "s": "fixed",
    }  # fmt: skip
    assert {n: r.structure for n, r in rules.items() if r.structure} == {
        "p": "probability", "low": "lower", "sym": "symmetric", "hot": "one_hot", "order": "sorted",
    }  # fmt: skip
    assert (
        rules["p"].dim == -2
        and (rules["index"].low, rules["index"].high) == (0.0, 9.0)
        and rules["labels"].values == (-1.0, 1.0)
    )


@pytest.mark.parametrize("distribution", (*VISIBLE, *HIDDEN))
def test_draws_keep_the_contract(problem: KernelProblem, distribution: str) -> None:
    x, p, index, mask, low, sym, pos, hot, order, labels, causal, s = problem.contract.draw(
        torch.Generator().manual_seed(1), distribution
    )
    assert p.min() >= 0 and torch.allclose(p.sum(0), torch.ones(64), atol=1e-4)
    assert index.dtype == torch.int64 and index.min() >= 0 and index.max() <= 9
    assert (
        mask.dtype == torch.bool
        and torch.equal(low, low.tril())
        and torch.equal(sym, sym.T)
        and pos.min() > 0
    )
    assert torch.equal(hot.sum(1), torch.ones(64)) and bool((order.diff() >= 0).all())
    assert (
        set(labels.tolist()) <= {-1.0, 1.0}
        and torch.equal(causal, torch.ones(64, 64).tril().bool())
        and s == 3.0
    )
    assert problem.module(x, p, index, mask, low, sym, pos, hot, order, labels, causal, s).isfinite()


def test_draws_follow_the_generator(problem: KernelProblem) -> None:
    a, b, c = (problem.contract.draw(torch.Generator().manual_seed(s), "heavy")[0] for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_distributions_are_what_they_say() -> None:
    contract = Contract((Rule("x", "float32", (512, 512)),))
    x = {d: contract.draw(torch.Generator().manual_seed(0), d)[0] for d in (*VISIBLE, *HIDDEN)}
    assert (
        x["heavy"].abs().max() > 50
        and x["large"].std() > 50
        and x["tiny"].abs().max() < 1e-3
        and x["negative"].max() < 0
    )
    zeros = x["zeros"]
    assert (zeros == 0).float().mean() > 0.3 and bool((zeros.signbit() & (zeros == 0)).any())
    assert bool(((zeros != 0) & (zeros.abs() < 1e-38)).any()), "no denormals"
    assert x["mixed"].std(1).max() / x["mixed"].std(1).min() > 1000 and x["spikes"].abs().max() > 1000
    assert len(x["repeated"].unique()) < 16


def test_large_draws_are_fast_and_do_not_repeat() -> None:
    contract = Contract((Rule("x", "float32", (25 << 20,)),))
    contract.draw(torch.Generator().manual_seed(0), "normal")
    start = time.process_time()
    x = contract.draw(torch.Generator().manual_seed(1), "normal")[0]
    assert time.process_time() - start < 1.5
    blocks = x[: 16 << 18].view(16, -1)
    assert not any(torch.equal(blocks[0], b) for b in blocks[1:]) and 0.7 < float(x[:100000].std()) < 1.3


def test_toml_round_trip_and_edits(problem: KernelProblem) -> None:
    contract = problem.contract
    assert contract.edited(contract.to_toml()) == contract
    edited = contract.edited(
        'given = "heavy"\n[[input]]\nname = "x"\ndomain = "range"\nlow = -1.0\nhigh = 2.0\n'
    )
    x = edited.draw(torch.Generator().manual_seed(0), "large")[0]
    assert edited.given == "heavy" and x.min() >= -1 and x.max() <= 2
    for text, says in [
        ('[[input]]\nname = "nope"\n', "nope"), ('[[input]]\nname = "x"\ndomain = "imaginary"\n', "domain is one of"),
        ("given = 3", "given"), ("[[", "not valid TOML"), ('[[input]]\nname = "x"\ncolour = 1\n', "unknown colour"),
    ]:  # fmt: skip
        with pytest.raises(KerfError, match=says):
            contract.edited(text)


def test_the_file_beside_the_problem_wins(tmp_path: Path) -> None:
    path = tmp_path / "p.py"
    path.write_text(
        "import torch\nclass Model(torch.nn.Module):\n    def forward(self, x):\n        return x * 2\ndef get_inputs():\n    return [torch.rand(64)]\n"
    )
    (tmp_path / "p.contract.toml").write_text('[[input]]\nname = "x"\ndomain = "positive"\n')
    assert load_problem(path).contract.rules[0].domain == "positive"


def test_strides_are_kept() -> None:
    text = "import torch\nclass Model(torch.nn.Module):\n    def forward(self, x):\n        return x.sum(1)\ndef get_inputs():\n    return [torch.randn(16, 8).t()]\n"
    x = load_text(text).contract.draw(torch.Generator().manual_seed(0), "normal")[0]
    assert x.shape == (8, 16) and x.stride() == (1, 8)
