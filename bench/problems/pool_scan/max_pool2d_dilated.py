"""Overlapping dilated max-pool."""

import torch
import torch.nn as nn
import torch.nn.functional as F

n = 4
c = 32
h = 128


class Model(nn.Module):
    def forward(self, x):
        return F.max_pool2d(x, 4, stride=1, padding=1, dilation=2)


def get_inputs():
    return [torch.randn(n, c, h, h)]


def get_init_inputs():
    return []
