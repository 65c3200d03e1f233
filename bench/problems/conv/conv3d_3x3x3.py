"""3-D convolution with Leaky ReLU."""

import torch
import torch.nn as nn
import torch.nn.functional as F

n = 2
c = 16
o = 32
d = 16
h = 48


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(c, o, 3)

    def forward(self, x):
        return F.leaky_relu(self.conv(x), 0.2)


def get_inputs():
    return [torch.randn(n, c, d, h, h)]


def get_init_inputs():
    return []
