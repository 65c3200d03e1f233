"""A GELU-type chain as models write it out: eager PyTorch passes over memory once an operator."""

import math

import torch
from torch import nn

rows = 1024
columns = 4096


class Model(nn.Module):
    """y = gate(x + bias), with the tanh form of GELU and a residual."""

    def __init__(self, columns: int):
        super().__init__()
        self.bias = nn.Parameter(torch.randn(columns) * 0.5)
        self.scale = nn.Parameter(1.0 + 0.1 * torch.randn(columns))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = x + self.bias
        gelu = 0.5 * z * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (z + 0.044715 * torch.pow(z, 3.0))))
        return gelu * self.scale + x


def get_inputs():
    return [torch.randn(rows, columns)]


def get_init_inputs():
    return [columns]
