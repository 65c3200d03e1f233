"""Group norm."""

import torch
import torch.nn as nn

n = 16
c = 64
h = 112
groups = 8


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.GroupNorm(groups, c)

    def forward(self, x):
        return self.norm(x)


def get_inputs():
    return [torch.randn(n, c, h, h)]


def get_init_inputs():
    return []
