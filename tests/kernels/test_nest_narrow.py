"""Maps whose innermost axis is narrow, and sines of small and large arguments, against torch."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_nest import Of, agree, randn

from kerf.kernels.codegen.nest.join import join
from kerf.kernels.codegen.nest.phase import phases
from kerf.kernels.codegen.nest.widen import widened
from kerf.kernels.fuse import fuse
from kerf.kernels.lower import lower_module

SLOW = settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def fused(f, inputs, lanes=16):
    (group,) = fuse(lower_module(Of(f), inputs))
    return [widened(p, group.buffer, lanes) for p in phases(group)]


CASES = {
    "frequencies": (lambda x, f: torch.sin(x[..., None] * f), [(1001, 3), (10,)]),
    "a bias": (lambda x, b: torch.tanh(x + b), [(997, 6), (6,)]),
    "two broadcast axes": (lambda x, w: torch.exp(-x[..., None] * w), [(301, 5), (5, 7)]),
    "an axis outside": (lambda x, y: torch.tanh(x * y), [(3, 401, 5), (3, 1, 5)]),
    "a row of another tensor": (lambda x, y: torch.exp(x) * y[:, :1], [(500, 3), (500, 4)]),
    "part of a wider row": (lambda x: torch.exp(x[:, 2:5]), [(500, 9)]),
    "far apart": (lambda x, y: torch.tanh(x[:, 3:4] * y), [(500, 40), (5,)]),
    "backwards": (lambda x, b: torch.tanh(x.flip(-1) + b), [(300, 7), (7,)]),
    "positions": (lambda x: torch.exp(x * torch.arange(5.0)), [(700, 5)]),
    "a short tensor": (lambda x, b: torch.tanh(x + b), [(2, 3), (3,)]),
    "several results": (lambda x, f: ((x[:, None] * f).sin(), (x[:, None] * f).cos()), [(600,), (6,)]),
}


@pytest.mark.parametrize("name", CASES)
def test_narrow_maps(name):
    f, shapes = CASES[name]
    threads = 1 + len(name) % 2
    agree(f, [randn(*s, seed=n) for n, s in enumerate(shapes)], threads=threads, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64, torch.int32, torch.uint8])
def test_narrow_maps_of_other_types(dtype):
    x, y = (randn(401, 3) * 9).to(dtype), (randn(3, seed=1) * 9).to(dtype)
    agree(lambda a, b: a * b + a, [x, y], rtol=2e-2, atol=1e-1)


@SLOW
@given(st.integers(2, 40), st.integers(1, 400), st.sampled_from([16, 64, 1024]), st.booleans())
def test_any_width_and_block(width, rows, block, stream):
    x, y = randn(rows), randn(width, seed=1)
    choices = {"block": block, "stream": stream}
    agree(lambda a, b: torch.exp(a[:, None] * b), [x, y], choices=choices, rtol=2e-5, atol=2e-6)


def test_narrow_axes_become_one_long_loop():
    (phase,) = fused(lambda x, f: torch.sin(x[..., None] * f), [randn(1000, 3), randn(10)])
    assert [a.extent for a in phase.axes] == [30000]
    x, f = sorted(phase.staged, key=lambda o: o.once)
    assert f.once and x.lanes == 16, "one read of frequencies; coordinates by shuffles"


def test_operands_that_would_be_read_element_by_element_leave_cheap_maps_as_they_are():
    (phase,) = fused(lambda x, y: x[:, 3:4] * y, [randn(500, 40), randn(5)])
    assert not phase.staged


def test_sines_of_small_and_large_arguments_in_one_tensor():
    x = torch.cat(
        [
            randn(5000) * 100,
            randn(3000) * 1e7,
            torch.tensor([float("inf"), float("nan"), 131072.0, -131071.9, 0.0, -0.0]),
        ]
    )
    agree(lambda a: (a.sin(), (a * 2).cos()), [x], choices={"block": 64}, rtol=1e-6, atol=2e-7)


def test_sines_on_one_side_of_a_condition_read_nothing_outside():
    x, f = randn(50), randn(8)
    agree(
        lambda a, b: torch.cat([(a[:, None] * b).sin(), (a[:, None] * b).cos()], -1),
        [x, f],
        rtol=1e-5,
        atol=1e-6,
    )
    agree(lambda a: torch.where(a > 0, F.pad(a, (1, 0))[:50].sin(), a.cos()), [x], rtol=1e-5, atol=1e-6)


JOINED = {
    "positional encoding": (
        lambda x, f: torch.cat(
            [x, (x[..., None] * f).sin().flatten(-2), (x[..., None] * f).cos().flatten(-2)], -1
        ),
        [(333, 3), (10,)],
    ),
    "decoded boxes": (
        lambda a, b: torch.cat([a[:, :2] - a[:, 2:].exp() / 2, b[:, :2] + a[:, 2:].exp() / 2], -1),
        [(501, 4), (501, 4)],
    ),
    "a stack of rows": (lambda x, y: torch.stack([x.exp(), y.tanh(), x * y], -2), [(77, 3), (77, 3)]),
    "rows outside": (lambda x, y: torch.cat([x.tanh(), y.exp()], -1), [(3, 40, 5), (3, 40, 2)]),
    "a constant": (lambda x: torch.cat([x.exp(), torch.ones_like(x[:, :1])], -1), [(90, 3)]),
    "fewer rows than a vector": (lambda x: torch.cat([x.exp(), x.sin()], -1), [(5, 3)]),
}


@pytest.mark.parametrize(("stream", "threads"), [(False, 1), (True, 2)])
@pytest.mark.parametrize("name", JOINED)
def test_pieces_put_together_along_a_narrow_axis(name, stream, threads):
    f, shapes = JOINED[name]
    inputs = [randn(*s, seed=n) for n, s in enumerate(shapes)]
    agree(f, inputs, threads=threads, choices={"stream": stream}, rtol=2e-5, atol=2e-6)


def test_what_is_put_together_is_computed_where_it_is_stored():
    f, shapes = JOINED["positional encoding"]
    (group,) = fuse(lower_module(Of(f), [randn(*s) for s in shapes]))
    (phase,) = phases(group)
    made = join(phase, group.buffer, 16)
    assert made is not None
    assert [p.axes[-1].extent // 333 for p in made.parts] == [3, 30, 30]


def test_costly_values_that_two_pieces_need_are_computed_once():
    def f(a, b):
        half = a[:, 2:].exp() / 2
        return torch.cat([a[:, :2] - half, b[:, :2] + half], -1)

    program = lower_module(Of(f), [randn(501, 4), randn(501, 4)])
    assert len(fuse(program)) == 2
