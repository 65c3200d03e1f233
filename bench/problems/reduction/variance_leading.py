"""Variance over the leading axis."""

import torch
import torch.nn as nn

n = 3000
f = 5000


class Model(nn.Module):
    def forward(self, x):
        return x.var(dim=0)


def get_inputs():
    return [torch.randn(n, f)]


def get_init_inputs():
    return []
