"""A diagonal matrix times a full one."""

import torch
import torch.nn as nn

n = 1800
m = 1800


class Model(nn.Module):
    def forward(self, d, b):
        return torch.diag(d) @ b


def get_inputs():
    return [torch.randn(n), torch.randn(n, m)]


def get_init_inputs():
    return []
