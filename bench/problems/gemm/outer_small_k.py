"""A large result from a small inner dimension."""

import torch
import torch.nn as nn

m = 4096
k = 24
n = 4096


class Model(nn.Module):
    def forward(self, a, b):
        return a @ b


def get_inputs():
    return [torch.randn(m, k), torch.randn(k, n)]


def get_init_inputs():
    return []
