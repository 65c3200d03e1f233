"""Maximum over the last axis."""

import torch
import torch.nn as nn

n = 64
d = 512
f = 1024


class Model(nn.Module):
    def forward(self, x):
        return x.max(dim=2)[0]


def get_inputs():
    return [torch.randn(n, d, f)]


def get_init_inputs():
    return []
