"""Argmin over the last axis."""

import torch
import torch.nn as nn

n = 64
d = 511
f = 512


class Model(nn.Module):
    def forward(self, x):
        return torch.argmin(x, dim=2)


def get_inputs():
    return [torch.randn(n, d, f)]


def get_init_inputs():
    return []
