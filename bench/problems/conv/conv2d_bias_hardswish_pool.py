"""Convolution, bias, hard-swish and max-pool."""

import torch
import torch.nn as nn
import torch.nn.functional as F

n = 8
c = 24
o = 64
h = 96


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(c, o, 3)
        self.bias = nn.Parameter(torch.randn(o, 1, 1))

    def forward(self, x):
        return F.max_pool2d(F.hardswish(self.conv(x) + self.bias), 2)


def get_inputs():
    return [torch.randn(n, c, h, h)]


def get_init_inputs():
    return []
