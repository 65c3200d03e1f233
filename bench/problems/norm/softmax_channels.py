"""Softmax over an inner axis."""

import torch
import torch.nn as nn

n = 8
c = 48
h = 160


class Model(nn.Module):
    def forward(self, x):
        return torch.softmax(x, dim=1)


def get_inputs():
    return [torch.randn(n, c, h, h)]


def get_init_inputs():
    return []
