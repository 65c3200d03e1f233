"""Matrix times vector."""

import torch
import torch.nn as nn

m = 6000
k = 12000


class Model(nn.Module):
    def forward(self, a, x):
        return a @ x


def get_inputs():
    return [torch.randn(m, k), torch.randn(k)]


def get_init_inputs():
    return []
