"""Dilated 1-D convolution."""

import torch
import torch.nn as nn

n = 16
c = 64
o = 128
length = 4000


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(c, o, 3, dilation=4)

    def forward(self, x):
        return self.conv(x)


def get_inputs():
    return [torch.randn(n, c, length)]


def get_init_inputs():
    return []
