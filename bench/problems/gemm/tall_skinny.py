"""A long inner dimension and a small result."""

import torch
import torch.nn as nn

m = 96
k = 65536
n = 80


class Model(nn.Module):
    def forward(self, a, b):
        return a @ b


def get_inputs():
    return [torch.randn(m, k), torch.randn(k, n)]


def get_init_inputs():
    return []
