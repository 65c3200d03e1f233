"""Which ops become one kernel."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kerf.kernels.fuse import fuse
from kerf.kernels.ir import Contract, Group, Library, outputs_of, reads_of, text
from kerf.kernels.lower import lower_module


class Of(nn.Module):
    def __init__(self, f, *parts):
        super().__init__()
        self.f, self.parts = f, nn.ModuleList(parts)

    def forward(self, *inputs):
        return self.f(*inputs, *self.parts)


def program(f, *inputs, parts=()):
    with torch.no_grad():
        return lower_module(Of(f, *parts), list(inputs))


X = torch.randn(6, 8, 5)
ONE_KERNEL = {
    "softmax": lambda x: x.softmax(1),
    "layer norm": lambda x: F.layer_norm(x, (8, 5)),
    "rms norm": lambda x: x / torch.sqrt((x**2).mean(1, keepdim=True) + 1e-5),
    "a chain": lambda x: torch.tanh(F.softplus(x * 2 + 1)) * x,
    "a loss": lambda x: ((x - 1) ** 2).mean(),
    "cosine loss": lambda x: (1 - F.cosine_similarity(x, x * 2 + 1, dim=1)).mean(),
    "log-sum-exp": lambda x: torch.logsumexp(x, 2),
    "L1 norm": lambda x: x / x.abs().mean(1, keepdim=True),
}


@pytest.mark.parametrize("name", ONE_KERNEL)
def test_ops_that_share_a_domain_become_one_kernel(name):
    assert len(fuse(program(ONE_KERNEL[name], X))) == 1


def valid(p, steps):
    """Each buffer is made once, before it is read; groups name their inputs and outputs truly."""
    known = {n for n, b in p.buffers.items() if p.producer(n) is None}
    for step in steps:
        reads = reads_of(step) if isinstance(step, Library) else tuple(b.name for b in step.inputs)
        assert set(reads) <= known
        outs = step.outs if isinstance(step, Library) else step.outputs
        assert not {b.name for b in outs} & known
        known |= {b.name for b in outs}
        if isinstance(step, Group):
            made = {b.name for op in step.ops for b in outputs_of(op)}
            assert {n for op in step.ops for n in reads_of(op)} - made == set(reads)
    assert {*p.outputs, *p.updates} <= known


NETWORK = nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.LayerNorm(7), nn.Linear(7, 9), nn.Softmax(-1))


@pytest.mark.parametrize("level", ["full", "none"])
@pytest.mark.parametrize(
    "f", [*ONE_KERNEL.values(), lambda x: (x.softmax(1), x.sum(1), (x / x.norm()).mean(0))]
)
def test_groups_are_in_execution_order_and_complete(f, level):
    p = program(f, X)
    valid(p, fuse(p, level))


@pytest.mark.parametrize("level", ["full", "none"])
def test_a_network_keeps_its_order(level):
    p = program(lambda x, m: m(x), X, parts=(NETWORK,))
    valid(p, fuse(p, level))


def test_a_value_that_two_kernels_need_is_not_fused_into_a_cycle():
    def f(x):
        scaled = x * 2
        product = scaled.reshape(48, 5) @ torch.ones(5, 5)
        return product.reshape(6, 8, 5) + scaled

    p = program(f, X)
    valid(p, fuse(p))


def test_none_makes_one_kernel_of_each_op():
    p = program(lambda x: x.softmax(1), X)
    assert all(len(g.ops) == 1 for g in fuse(p, "none"))
    assert [g.name for g in fuse(p, "none")] == [f"k{i}" for i in range(len(fuse(p, "none")))]


def test_an_activation_joins_the_product_before_it():
    p = program(lambda x, m: F.relu(m(x)), X, parts=(nn.Linear(5, 7),))
    groups = fuse(p)
    assert len(groups) == 1 and isinstance(groups[0].ops[0], Contract)


def test_what_costs_much_is_computed_along_memory_and_only_then_turned():
    p = program(lambda x: torch.softmax(x, 0), torch.randn(7, 64).T)  # torch's own result is contiguous
    *made, turned = fuse(p)
    assert len(made) == 1 and text(turned.ops[0].value).startswith("v_softmax[i1, i0]")
    assert len(fuse(program(lambda x: (x * 2).contiguous(), torch.randn(7, 64).T))) == 1


def test_what_nothing_reads_is_left_out():
    p = program(lambda x: (x.sum(1), x.mean(1))[0], X)
    assert len([op for g in fuse(p, "none") for op in g.ops]) == 1


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match="full, none"):
        fuse(program(lambda x: x + 1, X), "some")
