"""3-D max-pool."""

import torch
import torch.nn as nn
import torch.nn.functional as F

n = 4
c = 32
d = 32
h = 64


class Model(nn.Module):
    def forward(self, x):
        return F.max_pool3d(x, 2, stride=2)


def get_inputs():
    return [torch.randn(n, c, d, h, h)]


def get_init_inputs():
    return []
