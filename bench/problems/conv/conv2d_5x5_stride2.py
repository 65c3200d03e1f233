"""5x5 convolution with stride."""

import torch
import torch.nn as nn

n = 8
c = 32
o = 96
h = 64


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(c, o, 5, stride=2, padding=2)

    def forward(self, x):
        return self.conv(x)


def get_inputs():
    return [torch.randn(n, c, h, h)]


def get_init_inputs():
    return []
