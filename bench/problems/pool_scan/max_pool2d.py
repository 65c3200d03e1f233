"""Max-pool 3x3, stride 2."""

import torch
import torch.nn as nn
import torch.nn.functional as F

n = 16
c = 64
h = 112


class Model(nn.Module):
    def forward(self, x):
        return F.max_pool2d(x, 3, stride=2, padding=1)


def get_inputs():
    return [torch.randn(n, c, h, h)]


def get_init_inputs():
    return []
