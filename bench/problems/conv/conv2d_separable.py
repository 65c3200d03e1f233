"""Depthwise then pointwise, with ReLU6."""

import torch
import torch.nn as nn
import torch.nn.functional as F

n = 4
c = 64
o = 128
h = 96


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.depth = nn.Conv2d(c, c, 3, padding=1, groups=c, bias=False)
        self.point = nn.Conv2d(c, o, 1)

    def forward(self, x):
        return F.relu6(self.point(F.relu6(self.depth(x))))


def get_inputs():
    return [torch.randn(n, c, h, h)]


def get_init_inputs():
    return []
