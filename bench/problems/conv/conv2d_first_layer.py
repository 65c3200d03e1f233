"""A first layer: three channels, large kernel and stride."""

import torch
import torch.nn as nn

n = 8
o = 64
h = 224


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, o, 11, stride=4, padding=2)

    def forward(self, x):
        return torch.relu(self.conv(x))


def get_inputs():
    return [torch.randn(n, 3, h, h)]


def get_init_inputs():
    return []
