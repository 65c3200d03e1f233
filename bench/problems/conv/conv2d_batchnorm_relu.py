"""Convolution, batch norm in training mode, ReLU."""

import torch
import torch.nn as nn

n = 8
c = 32
o = 64
h = 72


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(c, o, 3, padding=1)
        self.norm = nn.BatchNorm2d(o)

    def forward(self, x):
        return torch.relu(self.norm(self.conv(x)))


def get_inputs():
    return [torch.randn(n, c, h, h)]


def get_init_inputs():
    return []
