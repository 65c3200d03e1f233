"""Convolution groups for the tests of the generator, and what PyTorch says they compute."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from kerf.kernels.codegen.conv import TEMPLATE
from kerf.kernels.codegen.standalone import TORCH_DTYPE, Standalone, standalone
from kerf.kernels.ir import Axis, Buffer, Conv, DType, Expr, Group, Map, Role
from kerf.kernels.schedule import Value

FORWARD = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@dataclass(frozen=True)
class Case:
    """`x`: (N, C, *spatial); `kernel`: its spatial extents."""

    x: tuple[int, ...]
    filters: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = ()
    bias: bool = True
    dtype: DType = DType.F32
    role: Role = Role.PARAM

    @property
    def dims(self) -> int:
        return len(self.kernel)

    def triple(self, name: str, fill: int) -> tuple[int, ...]:
        return getattr(self, name) or (fill,) * self.dims

    @property
    def weight(self) -> tuple[int, ...]:
        if self.transposed:
            return (self.x[1], self.filters // self.groups, *self.kernel)
        return (self.filters, self.x[1] // self.groups, *self.kernel)

    def torch(self, x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None) -> torch.Tensor:
        kw = {
            "stride": self.triple("stride", 1),
            "padding": self.triple("padding", 0),
            "dilation": self.triple("dilation", 1),
        }
        if self.transposed:
            kw["output_padding"] = self.triple("output_padding", 0)
            return TRANSPOSED[self.dims](x, w, b, groups=self.groups, **kw)
        return FORWARD[self.dims](x, w, b, groups=self.groups, **kw)

    def out_shape(self) -> tuple[int, ...]:
        with torch.device("meta"):
            return tuple(self.torch(torch.empty(self.x), torch.empty(self.weight), None).shape)

    def conv(self) -> Conv:
        return Conv(
            Buffer("y", self.out_shape(), self.dtype), "x", "w", "b" if self.bias else None, self.triple("stride", 1),
            self.triple("padding", 0), self.triple("dilation", 1), self.groups, self.transposed,
            self.triple("output_padding", 0) if self.transposed else (),
        )  # fmt: skip

    def inputs(self) -> tuple[Buffer, ...]:
        bias = (Buffer("b", (self.filters,), self.dtype, Role.PARAM),) if self.bias else ()
        return (
            Buffer("x", self.x, self.dtype, Role.INPUT),
            Buffer("w", self.weight, self.dtype, self.role),
            *bias,
        )

    def group(self) -> Group:
        conv = self.conv()
        return Group("k0", (conv,), self.inputs(), (conv.out,))

    def tensors(self, seed: int = 0) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return [torch.randn(b.shape, generator=generator).to(TORCH_DTYPE[b.dtype]) for b in self.inputs()]


def bound_on_error(case: Case, tensors: list[torch.Tensor], tile_error: bool) -> torch.Tensor:
    """16 roundings of the sum of magnitudes: of each output's own, or with `tile_error` of the largest, for algorithms that
    mix neighbouring outputs."""
    wide = [t.double().abs() for t in tensors]
    magnitude = case.torch(wide[0], wide[1], wide[2] if case.bias else None)
    unit = {DType.F64: 2.0**-53, DType.F32: 2.0**-24, DType.BF16: 2.0**-9, DType.F16: 2.0**-11}[case.dtype]
    return (magnitude.max() if tile_error else magnitude) * unit * 16 + 1e-30


def check(case: Case, choices: dict[str, Value] | None = None, threads: int = 1) -> Standalone:
    """Generate, run and compare with float64."""
    kernel = standalone(case.group(), choices, threads=threads, template=TEMPLATE)
    tensors = case.tensors()
    (got,) = kernel.call(tensors)
    wide = [t.double() for t in tensors]
    want = case.torch(wide[0], wide[1], wide[2] if case.bias else None)
    excess = (
        ((got.double() - want).abs() - bound_on_error(case, tensors, "_data(" in kernel.source)).max().item()
    )
    assert not torch.isnan(got).any(), f"{case} {choices}: NaN"
    assert excess <= 0, f"{case} {choices}: off by {excess}"
    return kernel


def with_maps(
    case: Case, values: list[Expr], extra: tuple[Buffer, ...], outputs: tuple[int, ...] = (-1,)
) -> Group:
    """The conv followed by maps; `values` index the axes a0, a1, ... ."""
    conv = case.conv()
    axes = tuple(Axis(f"a{i}", e) for i, e in enumerate(conv.out.shape))
    maps = [
        Map(Buffer(f"m{i}", conv.out.shape, case.dtype, Role.OUTPUT), axes, v) for i, v in enumerate(values)
    ]
    made = [conv.out, *(m.out for m in maps)]
    return Group("k0", (conv, *maps), (*case.inputs(), *extra), tuple(made[i] for i in outputs))
