"""Grouped convolution."""

import torch
import torch.nn as nn

n = 8
c = 128
o = 128
h = 36
groups = 4


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(c, o, 3, padding=1, groups=groups)

    def forward(self, x):
        return self.conv(x)


def get_inputs():
    return [torch.randn(n, c, h, h)]


def get_init_inputs():
    return []
