"""What can be captured, and how what cannot be is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kerf.core.types import KerfError
from kerf.kernels.graph import capture


class Calls(nn.Module):
    """A module that is one function."""

    def __init__(self, fn) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, *args):
        return self.fn(*args)


X = torch.randn(4, 6)


def targets(module: nn.Module, *inputs: torch.Tensor) -> list[str]:
    return [str(n.target) for n in capture(module, inputs).nodes.nodes if n.op == "call_function"]


def test_composite_ops_stay_whole():
    found = targets(nn.Sequential(nn.Linear(6, 6), nn.GELU(), nn.LayerNorm(6), nn.Softmax(-1)), X)
    assert found == [
        "aten.linear.default",
        "aten.gelu.default",
        "aten.layer_norm.default",
        "aten.softmax.int",
    ]


def test_in_place_ops_become_functional():
    def scale_in_place(x):
        y = x.clone()
        y[:, 0] = 0
        y.mul_(2)
        return y

    assert not [t for t in targets(Calls(scale_in_place), X) if t.split(".")[1].endswith("_")]


def test_recurrences_are_not_unrolled():
    found = targets(nn.LSTM(6, 5, num_layers=2, batch_first=True), torch.randn(2, 300, 6))
    assert [t for t in found if "lstm" in t] == ["kerf.lstm.default"] and len(found) < 12


def test_training_batch_norm_updates_the_running_statistics():
    graph = capture(nn.BatchNorm1d(6), (X,))
    assert set(graph.updates.values()) == {"running_mean", "running_var", "num_batches_tracked"}


@pytest.mark.parametrize(
    ("fn", "words"),
    [
        (lambda x: torch.rand_like(x) + x, "random"),
        (lambda x: nn.functional.dropout(x, 0.5, True), "eval()"),
        (lambda x: x * 2 if x.sum() > 0 else x, "values of tensors"),
        (lambda x: x[x > 0], "depends on the values"),
        (lambda x: None, "no tensor"),
        (lambda x: x.add_(1), "writes into its argument"),
        (
            lambda x: (torch.ops.aten._linalg_check_errors(x.int()[0], "f", is_matrix=False), x * 2)[1],
            "side effects",
        ),
    ],
)
def test_what_has_no_fixed_graph_is_refused_with_advice(fn, words):
    with pytest.raises(KerfError, match=words.replace("(", r"\(").replace(")", r"\)")):
        capture(Calls(fn), (X.clone(),))


def test_a_buffer_with_a_name_that_graphs_use_themselves_is_asked_to_change_it():
    module = Calls(lambda x: x)
    module.register_buffer("code", torch.ones(6))
    module.fn = lambda x: x * module.code
    with pytest.raises(KerfError, match=r"buffer called 'code'.*another name"):
        capture(module, [X])


def test_dropout_that_does_nothing_is_accepted():
    assert capture(nn.Sequential(nn.Dropout(0.0), nn.ReLU()), (X,)).outputs
    assert capture(nn.Sequential(nn.Dropout(0.5), nn.ReLU()).eval(), (X,)).outputs


def test_a_module_that_assigns_to_itself_keeps_its_attributes():
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = torch.zeros(4, 6)

        def forward(self, x):
            self.last.copy_(x)
            self.last = self.last + 1
            return self.last * 2

    module = Counts()
    before = module.last
    assert list(capture(module, [X]).updates.values()) == ["last"]
    assert module.last is before and "last" not in module._buffers


def test_state_that_is_first_made_in_a_call_is_refused_where_the_next_call_reads_it():
    class Recalls(nn.Module):
        reads = True

        def __init__(self):
            super().__init__()
            self.last = None

        def forward(self, x):
            before = torch.zeros_like(x) if self.last is None or not self.reads else self.last
            self.last = torch.tanh(x + before)
            return self.last * 2

    module = Recalls()
    with pytest.raises(KerfError, match=r"Recalls remembers.*'last'"):
        capture(module, [X])
    module.reads = False
    assert capture(module, [X]).outputs and module.last is None
