"""1x1 convolution."""

import torch
import torch.nn as nn

n = 8
c = 128
o = 256
h = 40


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(c, o, 1)

    def forward(self, x):
        return self.conv(x)


def get_inputs():
    return [torch.randn(n, c, h, h)]


def get_init_inputs():
    return []
