"""Average-pool."""

import torch
import torch.nn as nn
import torch.nn.functional as F

n = 16
c = 64
h = 128


class Model(nn.Module):
    def forward(self, x):
        return F.avg_pool2d(x, 3, stride=2, padding=1)


def get_inputs():
    return [torch.randn(n, c, h, h)]


def get_init_inputs():
    return []
