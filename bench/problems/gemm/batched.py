"""A batch of medium products."""

import torch
import torch.nn as nn

batch = 24
m = 256
k = 512
n = 384


class Model(nn.Module):
    def forward(self, a, b):
        return torch.bmm(a, b)


def get_inputs():
    return [torch.randn(batch, m, k), torch.randn(batch, k, n)]


def get_init_inputs():
    return []
