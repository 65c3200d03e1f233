"""oneDNN as a baseline of its own: the same module with its linear layers and convolutions on oneDNN, weights packed once.

PyTorch sends float32 matrix products to MKL, which on some processors does not use their widest vectors; oneDNN does."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from kerf.kernels.copying import copied
from kerf.kernels.dispatch import OperatorMode

_LINEAR_MIN = 1 << 14  # multiply-adds below which the dispatch costs more than the product


class _Linear(nn.Module):
    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.shape, self.bias = layer.weight.shape, layer.bias
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


class _Conv(nn.Module):
    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.how = (list(layer.padding), list(layer.stride), list(layer.dilation), layer.groups)
        self.bias = layer.bias
        self.weight = (
            torch.ops.mkldnn._reorder_convolution_weight(layer.weight.detach(), *self.how, None)
            if layer.weight.dim() == 4
            else layer.weight
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._convolution_pointwise(x, self.weight, self.bias, *self.how, "none", [], "")


class _Products(OperatorMode):
    """float32 matrix products by oneDNN."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.mm.default and _worth(args[0], args[1]):
            self.count += 1
            return torch.ops.mkldnn._linear_pointwise(
                args[0].contiguous(), args[1].t().contiguous(), None, "none", [], ""
            )
        if (
            func is torch.ops.aten.addmm.default
            and not kwargs
            and args[0].dim() == 1
            and _worth(args[1], args[2])
        ):
            self.count += 1
            return torch.ops.mkldnn._linear_pointwise(
                args[1].contiguous(), args[2].t().contiguous(), args[0], "none", [], ""
            )
        return func(*args, **(kwargs or {}))


def _worth(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype == torch.float32 and a.shape[0] * a.shape[1] * b.shape[1] >= _LINEAR_MIN


class _ByOneDNN(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any) -> Any:
        with _Products():
            return self.module(*args)


def onednn_module(module: nn.Module, args: list[Any]) -> nn.Module | None:
    """A copy of `module` that uses oneDNN where it can, with packed weights; None where nothing applies. `args`: example inputs."""
    if not torch.backends.mkldnn.is_available():
        return None
    own: nn.Module = nn.Sequential(copied(module)) if _replacement(module) is not None else copied(module)
    with torch.no_grad():
        replaced = _replace(own)
        with _Products() as products:
            own(*args)
    if products.count:
        return _ByOneDNN(own)
    return own if replaced else None


def _replace(module: nn.Module) -> int:
    count = 0
    for name, child in module.named_children():
        new = _replacement(child)
        if new is not None:
            setattr(module, name, new)
            count += 1
        else:
            count += _replace(child)
    return count


def _replacement(layer: nn.Module) -> nn.Module | None:
    if type(layer) is nn.Linear and layer.weight.dtype == torch.float32:
        return _Linear(layer)
    usual = type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return _Conv(layer) if usual and layer.weight.dtype == torch.float32 else None
