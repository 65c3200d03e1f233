"""Depthwise 3x3 convolution."""

import torch
import torch.nn as nn

n = 8
c = 96
h = 112


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1, groups=c)

    def forward(self, x):
        return self.conv(x)


def get_inputs():
    return [torch.randn(n, c, h, h)]


def get_init_inputs():
    return []
