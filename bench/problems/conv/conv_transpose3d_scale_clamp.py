"""3-D transposed convolution, scale and clamp."""

import torch
import torch.nn as nn

n = 2
c = 24
o = 16
d = 12
h = 24


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.ConvTranspose3d(c, o, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x):
        return torch.clamp(self.conv(x) * 0.5, -1.0, 1.0)


def get_inputs():
    return [torch.randn(n, c, d, h, h)]


def get_init_inputs():
    return []
