"""Both operands transposed."""

import torch
import torch.nn as nn

m = 1100
k = 900
n = 1300


class Model(nn.Module):
    def forward(self, a, b):
        return a.T @ b.T


def get_inputs():
    return [torch.randn(k, m), torch.randn(n, k)]


def get_init_inputs():
    return []
