"""A gated linear recurrence, step by step."""

import torch
import torch.nn as nn

n = 8
length = 96
features = 8192


class Model(nn.Module):
    def forward(self, x, a):
        gate = torch.sigmoid(a)
        h = torch.zeros_like(x[:, 0])
        out = []
        for t in range(length):
            h = gate[:, t] * h + x[:, t]
            out.append(h)
        return torch.stack(out, dim=1)


def get_inputs():
    return [torch.randn(n, length, features), torch.randn(n, length, features)]


def get_init_inputs():
    return []
