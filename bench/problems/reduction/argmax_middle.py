"""Argmax over a middle axis."""

import torch
import torch.nn as nn

n = 64
d = 512
f = 511


class Model(nn.Module):
    def forward(self, x):
        return torch.argmax(x, dim=1)


def get_inputs():
    return [torch.randn(n, d, f)]


def get_init_inputs():
    return []
