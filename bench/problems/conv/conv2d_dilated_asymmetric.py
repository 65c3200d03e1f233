"""Dilated convolution with an asymmetric kernel."""

import torch
import torch.nn as nn

n = 4
c = 48
o = 64
h = 80
w = 95


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(c, o, (3, 5), padding=(2, 2), dilation=(2, 1))

    def forward(self, x):
        return self.conv(x)


def get_inputs():
    return [torch.randn(n, c, h, w)]


def get_init_inputs():
    return []
