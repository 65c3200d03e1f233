"""Loops over time, unrolled by capture, become one recurrence, and its kernel computes what the module does."""

from collections.abc import Callable

import pytest
import torch

from kerf.kernels import ir
from kerf.kernels.codegen.standalone import standalone
from kerf.kernels.fuse import fuse
from kerf.kernels.interpret import bind, interpret
from kerf.kernels.lower import lower_module

LENGTH = 11
Step = Callable[..., object]


class Loop(torch.nn.Module):
    def __init__(self, body: Step) -> None:
        super().__init__()
        self.body = body

    def forward(self, *inputs: torch.Tensor) -> object:
        return self.body(*inputs)


def gated(x, a):
    gate, h, out = torch.sigmoid(a), torch.zeros_like(x[:, 0]), []
    for t in range(LENGTH):
        h = gate[:, t] * h + x[:, t]
        out.append(h)
    return torch.stack(out, dim=1)


def selective(x, dt, rate, b, c):
    decay, enters = torch.exp(-dt[..., None] * rate**2), (dt * x)[..., None] * b[:, :, None]
    h, out = torch.zeros(x.shape[0], x.shape[2], 4), []
    for t in range(LENGTH):
        h = decay[:, t] * h + enters[:, t]
        out.append((h * c[:, t, None]).sum(-1))
    return torch.stack(out, dim=1)


def average(x):
    h = x[0]
    out = [h]
    for t in range(1, LENGTH):
        h = 0.9 * h + 0.1 * x[t]
        out.append(h)
    return torch.stack(out)


def backwards(x, a):
    h, out = torch.zeros_like(x[:, 0]), [x[:, 0]] * LENGTH
    for t in reversed(range(LENGTH)):
        h = torch.tanh(a[:, t]) * h + x[:, t]
        out[t] = h
    return torch.stack(out, dim=1)


def two_states(x, a):
    h, c, out = torch.zeros_like(x[:, 0]), torch.ones_like(x[:, 0]), []
    for t in range(LENGTH):
        c = torch.sigmoid(a[:, t] + h) * c + x[:, t]
        h = torch.tanh(c)
        out.append(h)
    return torch.stack(out, dim=1), c


def last_only(x, a):
    h = torch.zeros_like(x[:, 0])
    for t in range(LENGTH):
        h = torch.sigmoid(a[:, t]) * h + x[:, t]
    return h


def assigned(x):
    out, p = torch.zeros_like(x), torch.ones_like(x[:, 0])
    for t in range(LENGTH):
        p = p * x[:, t]
        out[:, t] = p
    return out


def sequence(features: int = 37) -> torch.Tensor:
    return torch.randn(2, LENGTH, features)


torch.manual_seed(0)
CASES: dict[str, tuple[Step, tuple[torch.Tensor, ...]]] = {
    "gated": (gated, (sequence(), sequence())),
    "selective": (selective, (sequence(), sequence(), torch.randn(37, 4), sequence(4), sequence(4))),
    "average": (average, (torch.randn(LENGTH, 2, 37),)),
    "backwards": (backwards, (sequence(), sequence())),
    "two states": (two_states, (sequence(), sequence())),
    "last only": (last_only, (sequence(), sequence())),
    "assigned": (assigned, (sequence(),)),
}


@pytest.mark.parametrize("name", CASES)
def test_an_unrolled_loop_becomes_one_kernel(name: str) -> None:
    body, inputs = CASES[name]
    module = Loop(body)
    program = lower_module(module, inputs)
    assert [type(op) for op in program.ops] == [ir.Recurrence]
    want = module(*inputs)
    want = want if isinstance(want, tuple) else (want,)
    bound = bind(program, module, inputs)
    meant = interpret(program, bound, double=True)
    (group,) = fuse(program)
    made = standalone(group, {"block": 16}).call([bound[b.name] for b in group.inputs])
    by_name = {b.name: value for b, value in zip(group.outputs, made, strict=True)}
    for output, expected in zip(program.outputs, want, strict=True):
        torch.testing.assert_close(meant[output].float(), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(by_name[output], expected, rtol=1e-4, atol=1e-4)


def test_threads_share_the_blocks() -> None:
    body, inputs = CASES["gated"]
    program = lower_module(Loop(body), inputs)
    (group,) = fuse(program)
    bound = bind(program, Loop(body), inputs)
    (made,) = standalone(group, {"block": 16}, threads=2).call([bound[b.name] for b in group.inputs])
    torch.testing.assert_close(made, body(*inputs), rtol=1e-5, atol=1e-5)


def irregular(x):
    h, out = torch.zeros_like(x[:, 0]), []
    for t in range(LENGTH):
        h = torch.tanh(h) + x[:, t] if t in (3, 4, 8) else 0.5 * h + x[:, t]
        out.append(h)
    return torch.stack(out, dim=1)


def test_steps_that_differ_are_left_as_they_are() -> None:
    inputs = (sequence(),)
    program = lower_module(Loop(irregular), inputs)
    assert not any(isinstance(op, ir.Recurrence) for op in program.ops)
    made = interpret(program, bind(program, Loop(irregular), inputs))
    torch.testing.assert_close(made[program.outputs[0]], irregular(*inputs), rtol=1e-5, atol=1e-5)


def projected(x, w, rate):
    return selective(x, torch.nn.functional.softplus(x @ w[:, :37]), rate, x @ w[:, 37:41], x @ w[:, 41:])


def test_products_over_all_times_stay_outside_of_the_loop() -> None:
    inputs = (sequence(), torch.randn(37, 45) * 0.1, torch.randn(37, 4))
    program = lower_module(Loop(projected), inputs)
    (loop,) = [op for op in program.ops if isinstance(op, ir.Recurrence)]
    assert len(loop.sums) == 1 and not loop.products
    assert sum(isinstance(op, ir.Contract) for op in program.ops) <= 3
    made = interpret(program, bind(program, Loop(projected), inputs))
    torch.testing.assert_close(made[program.outputs[0]], projected(*inputs), rtol=1e-4, atol=1e-4)
