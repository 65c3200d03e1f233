"""One filter a channel where channels lie side by side, against torch: odd sizes, every edge, what follows, and how results lie."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kerf.kernels.codegen.standalone import TORCH_DTYPE, standalone
from kerf.kernels.fuse import fuse
from kerf.kernels.interpret import bind, interpret
from kerf.kernels.ir import Contract, Conv
from kerf.kernels.lower import lower_module


class Last(nn.Module):
    """A convolution of (N, ..., C)."""

    def __init__(self, conv, after=lambda y: y):
        super().__init__()
        self.conv, self.after = conv, after

    def forward(self, x):
        return self.after(self.conv(x.movedim(-1, 1))).movedim(1, -1)


def depthwise(n, channels, kernel, **how):
    return (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n - 1](channels, channels, kernel, groups=channels, **how)


CASES = {
    "3 x 3": (depthwise(2, 32, 3, padding=1), (2, 7, 19)),
    "a last vector that overlaps": (depthwise(2, 37, 3, padding=1), (2, 5, 11)),
    "more channels than a tile": (depthwise(2, 150, (5, 3), padding=(2, 1)), (1, 6, 9)),
    "strides": (depthwise(2, 16, 3, stride=2, padding=1), (2, 9, 23)),
    "holes": (depthwise(2, 48, 3, dilation=(2, 3), padding=(2, 3)), (1, 9, 20)),
    "no margin, no bias": (depthwise(2, 20, 4, bias=False), (1, 6, 17)),
    "narrower than a tile": (depthwise(2, 16, 3, padding=1), (2, 4, 3)),
    "a kernel larger than its input": (depthwise(2, 16, 7, padding=3), (1, 3, 4)),
    "one dimension": (depthwise(1, 24, 4, padding=3), (2, 30)),
    "three dimensions": (depthwise(3, 16, 3, padding=1), (1, 3, 4, 12)),
}


def run(module, x, threads=1, choices=None):
    program = lower_module(module, [x])
    assert [op.channels_last for op in program.ops if isinstance(op, Conv)] == [True]
    memory = bind(program, module, [x])
    for group in fuse(program):
        outputs = [torch.full(b.shape, 77, dtype=TORCH_DTYPE[b.dtype]) for b in group.outputs]
        kernel = standalone(group, choices or {}, threads=threads)
        kernel.bind([memory[b.name].contiguous() for b in group.inputs], outputs)()
        memory.update({b.name: t for b, t in zip(group.outputs, outputs, strict=True)})
    return memory[program.outputs[0]]


@pytest.mark.parametrize("name", CASES)
def test_one_filter_a_channel(name):
    conv, (batch, *size) = CASES[name]
    module, x = Last(conv), torch.randn(batch, *size, conv.in_channels)
    with torch.no_grad():
        torch.testing.assert_close(run(module, x), module(x).contiguous(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "choices", [{"columns": 1}, {"columns": 4, "vectors": 3}, {"columns": 10, "vectors": 1}]
)
def test_every_tile_with_what_follows_by_two_threads(choices):
    module = Last(depthwise(2, 70, 3, padding=1), lambda y: F.relu(y) * 2 + 1)
    x = torch.randn(2, 5, 27, 70)
    with torch.no_grad():
        torch.testing.assert_close(run(module, x, 2, choices), module(x).contiguous(), rtol=1e-5, atol=1e-5)


def test_weights_that_are_computed_are_packed_in_the_call():
    class Scaled(nn.Module):
        def forward(self, x, w):
            return F.conv2d(x.movedim(-1, 1), w * 2, groups=16).movedim(1, -1)

    x, w = torch.randn(1, 6, 12, 16), torch.randn(16, 1, 3, 3)
    program = lower_module(Scaled(), [x, w])
    memory = bind(program, Scaled(), [x, w])
    for group in fuse(program):
        outputs = [torch.empty(b.shape) for b in group.outputs]
        standalone(group, {}).bind([memory[b.name].contiguous() for b in group.inputs], outputs)()
        memory.update({b.name: t for b, t in zip(group.outputs, outputs, strict=True)})
    torch.testing.assert_close(memory[program.outputs[0]], Scaled()(x, w).contiguous(), rtol=1e-5, atol=1e-5)


TILED = {
    "one value": (nn.Conv2d(24, 10, 1), (2, 5, 7)),
    "patches": (nn.Conv2d(3, 20, 4, stride=4), (2, 9, 18)),
    "patches of lines": (nn.Conv1d(5, 6, 3, stride=3, bias=False), (2, 20)),
    "patches of volumes": (nn.Conv3d(4, 6, (1, 2, 3), stride=(1, 2, 3)), (1, 2, 4, 7)),
}


@pytest.mark.parametrize("name", TILED)
def test_filters_that_tile_the_input_are_one_product_with_its_bias(name):
    conv, (batch, *size) = TILED[name]
    module, x = Last(conv, F.relu), torch.randn(batch, *size, conv.in_channels)
    program = lower_module(module, [x])
    assert not any(isinstance(op, Conv) for op in program.ops)
    group = fuse(program)[-1]
    assert isinstance(group.ops[0], Contract)
    assert len(group.ops) == 2
    with torch.no_grad():
        (got,) = interpret(program, bind(program, module, [x])).values()
        torch.testing.assert_close(got, module(x).contiguous(), rtol=1e-5, atol=1e-5)
