"""RNN cells written as loops: what does not need the state leaves the loop, and the loop's kernel computes what the module does."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from kerf.kernels import ir
from kerf.kernels.codegen.recurrence_products import TEMPLATE
from kerf.kernels.codegen.standalone import standalone
from kerf.kernels.codegen.template import template_for
from kerf.kernels.fuse import fuse
from kerf.kernels.interpret import bind, interpret
from kerf.kernels.lower import lower_module
from kerf.kernels.targets.cpu import native

STEPS, BATCH, FEATURES, HIDDEN, OUT = 9, 3, 10, 21, 5
Body = Callable[..., object]
Case = tuple[Body, dict[str, nn.Module | nn.Parameter], tuple[torch.Tensor, ...], tuple[str, ...]]


class Loop(nn.Module):
    def __init__(self, body: Body, parts: dict[str, nn.Module | nn.Parameter]) -> None:
        super().__init__()
        self.body = body
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs: torch.Tensor) -> object:
        return self.body(self, *inputs)


def elman(net, x, h):
    out = []
    for t in range(STEPS):
        h = torch.tanh(net.i2h(torch.cat((x[t], h), dim=1)))
        out.append(net.h2o(h))
    return torch.stack(out)


def batch_first(net, x, h):
    out = []
    for t in range(STEPS):
        h = torch.relu(x[:, t] @ net.u + h @ net.w)
        out.append(h.unsqueeze(1))
    return torch.cat(out, 1), h


def lstm_cell(net, x):
    h = c = x.new_zeros(BATCH, HIDDEN)
    for x_t in x:
        h, c = net.cell(x_t, (h, c))
    return net.out(h)


def layers(net, x):
    first = second = x.new_zeros(BATCH, HIDDEN)
    out = []
    for t in range(STEPS):
        first = net.a(x[t], first)
        second = net.b(first, second)
        out.append(net.out(second))
    return torch.stack(out, 1), first


def reset_before(net, x, h):
    """A GRU as first published: the candidate's product reads what the reset gate made."""
    out = []
    for t in range(STEPS):
        both = torch.cat((h, x[t]), dim=1)
        update, reset = torch.sigmoid(net.update(both)), torch.sigmoid(net.reset(both))
        fresh = torch.tanh(net.fresh(torch.cat((reset * h, x[t]), dim=1)))
        h = (1 - update) * h + update * fresh
        out.append(h)
    return torch.stack(out)


def backwards(net, x):
    h, out = torch.sigmoid(net.start(x.mean(0))), [x[0]] * STEPS
    for t in reversed(range(STEPS)):
        h = torch.sigmoid(net.i(x[t]) + net.h(h))
        out[t] = h
    return torch.stack(out)


def peephole(net, x):
    h, c = x.new_zeros(BATCH, HIDDEN), x.new_ones(BATCH, HIDDEN)
    for t in range(STEPS):
        i, f, n, o = (net.i(x[t]) + net.h(h)).chunk(4, 1)
        c = torch.sigmoid(f + net.peep(c)) * c + torch.sigmoid(i) * torch.tanh(n)
        h = torch.sigmoid(o) * torch.tanh(c)
    return h, c


def both_ways(net, x):
    ahead, back = [], [x[0]] * STEPS
    h = g = x.new_zeros(BATCH, HIDDEN)
    for t in range(STEPS):
        h = net.a(x[t], h)
        ahead.append(h)
    for t in reversed(range(STEPS)):
        g = net.b(x[t], g)
        back[t] = g
    return net.out(torch.cat((torch.stack(ahead), torch.stack(back)), dim=2))


def columns(net, x, h):
    """Batch last: the weight stands on the left."""
    out = []
    for t in range(STEPS):
        h = torch.tanh(net.u @ x[t] + net.w @ h)
        out.append(h)
    return torch.stack(out)


def linear(inputs: int, outputs: int = HIDDEN) -> nn.Linear:
    return nn.Linear(inputs, outputs)


torch.manual_seed(0)
X, H = torch.randn(STEPS, BATCH, FEATURES), torch.randn(BATCH, HIDDEN)
ONE, AFTER = ("Contract", "Recurrence"), ("Contract", "Recurrence", "Contract", "Map")
BOTH = FEATURES + HIDDEN
CASES: dict[str, Case] = {
    "elman": (elman, {"i2h": linear(BOTH), "h2o": linear(HIDDEN, OUT)}, (X, H), AFTER),
    "batch first": (
        batch_first,
        {"u": nn.Parameter(torch.randn(FEATURES, HIDDEN) / 3), "w": nn.Parameter(torch.randn(HIDDEN, HIDDEN) / 5)},
        (X.transpose(0, 1).contiguous(), H),
        ONE,
    ),
    "lstm cell": (lstm_cell, {"cell": nn.LSTMCell(FEATURES, HIDDEN), "out": linear(HIDDEN, OUT)}, (X,), AFTER),
    "layers": (
        layers,
        {"a": nn.GRUCell(FEATURES, HIDDEN), "b": nn.RNNCell(HIDDEN, HIDDEN), "out": linear(HIDDEN, OUT)},
        (X,),
        (*ONE, *AFTER),
    ),
    "reset before": (
        reset_before,
        {"update": linear(BOTH), "reset": linear(BOTH), "fresh": linear(BOTH)},
        (X, H),
        ("Contract", "Contract", "Contract", "Recurrence"),
    ),
    "backwards": (
        backwards,
        {"start": linear(FEATURES), "i": linear(FEATURES), "h": linear(HIDDEN)},
        (X,),
        ("Reduce", "Contract", "Map", *ONE),
    ),
    "both ways": (
        both_ways,
        {"a": nn.GRUCell(FEATURES, HIDDEN), "b": nn.GRUCell(FEATURES, HIDDEN), "out": linear(2 * HIDDEN, OUT)},
        (X,),
        (*ONE, *ONE, "Map", "Contract", "Map"),
    ),
    "columns": (
        columns,
        {"u": nn.Parameter(torch.randn(HIDDEN, FEATURES) / 3), "w": nn.Parameter(torch.randn(HIDDEN, HIDDEN) / 5)},
        (X.mT.contiguous(), H.mT.contiguous()),
        (*ONE, "Contract", "Map"),
    ),
    "peephole": (
        peephole,
        {"i": linear(FEATURES, 4 * HIDDEN), "h": linear(HIDDEN, 4 * HIDDEN), "peep": linear(HIDDEN)},
        (X,),
        ONE,
    ),
}  # fmt: skip


def computed(
    program: ir.Program, module: nn.Module, inputs: tuple[torch.Tensor, ...], threads: int = 1, choices=None
):
    """The outputs, by the generated kernels; `choices` are the loop's."""
    memory = {name: value.detach() for name, value in bind(program, module, inputs).items()}
    for group in fuse(program):
        assert isinstance(group, ir.Group)
        mine = choices if template_for(group) is TEMPLATE else None
        made = standalone(group, mine, threads=threads).call([memory[b.name] for b in group.inputs])
        memory |= {b.name: value for b, value in zip(group.outputs, made, strict=True)}
    return [memory[name] for name in program.outputs]


@pytest.mark.parametrize("name", CASES)
def test_only_what_needs_the_state_stays_in_the_loop(name: str) -> None:
    body, parts, inputs, kinds = CASES[name]
    module = Loop(body, parts)
    program = lower_module(module, inputs)
    assert tuple(type(op).__name__ for op in program.ops) == kinds
    want = module(*inputs)
    made = computed(program, module, inputs, threads=1 + len(name) % 2)
    meant = interpret(program, bind(program, module, inputs), double=True)
    for got, output, expected in zip(
        made, program.outputs, want if isinstance(want, tuple) else [want], strict=True
    ):
        torch.testing.assert_close(meant[output].float(), expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("hidden", [16, 33])
def test_every_schedule_gives_the_same(hidden: int) -> None:
    module = Loop(lambda net, x: torch.stack(_states(net, x)), {"cell": nn.GRUCell(FEATURES, hidden)})
    inputs = (torch.randn(STEPS, 7, FEATURES),)
    program = lower_module(module, inputs)
    group = fuse(program)[-1]
    assert isinstance(group, ir.Group) and template_for(group) is TEMPLATE
    for decision in TEMPLATE.decisions(group, native(), 1):
        for choice in decision.choices:
            (made,) = computed(program, module, inputs, 1 + choice % 3, {decision.name: choice})
            torch.testing.assert_close(made, module(*inputs), rtol=1e-5, atol=1e-5)


def _states(net: Loop, x: torch.Tensor) -> list[torch.Tensor]:
    h, out = x.new_zeros(x.shape[1], net.cell.hidden_size), []
    for t in range(STEPS):
        h = net.cell(x[t], h)
        out.append(h)
    return out


def test_weights_that_arrive_with_each_call() -> None:
    def body(_, x, h, w):
        for t in range(STEPS):
            h = torch.tanh(x[t] + h @ w)
        return h

    inputs = (torch.randn(STEPS, BATCH, HIDDEN), H, torch.randn(HIDDEN, HIDDEN) / 5)
    module = Loop(body, {})
    program = lower_module(module, inputs)
    assert [type(op) for op in program.ops] == [ir.Recurrence]
    (made,) = computed(program, module, inputs)
    torch.testing.assert_close(made, module(*inputs), rtol=1e-5, atol=1e-5)


def test_equal_layers_with_their_own_weights_are_no_loop() -> None:
    net = nn.Sequential(*(m for _ in range(9) for m in (nn.Linear(HIDDEN, HIDDEN), nn.Tanh())))
    program = lower_module(net, (H,))
    assert not any(isinstance(op, ir.Recurrence) for op in program.ops)


def test_a_weight_of_its_own_in_one_step_keeps_the_loop_unrolled() -> None:
    def body(net, x, h):
        out = []
        for t in range(STEPS):
            h = torch.tanh(x[t] + (net.b if t == 4 else net.a)(h))
            out.append(h)
        return torch.stack(out)

    inputs = (torch.randn(STEPS, BATCH, HIDDEN), H)
    module = Loop(body, {"a": linear(HIDDEN), "b": linear(HIDDEN)})
    program = lower_module(module, inputs)
    assert not any(isinstance(op, ir.Recurrence) for op in program.ops)
    made = interpret(program, bind(program, module, inputs))
    torch.testing.assert_close(made[program.outputs[0]], module(*inputs), rtol=1e-5, atol=1e-5)
