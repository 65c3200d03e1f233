"""A gated feed-forward block."""

import torch
import torch.nn as nn
import torch.nn.functional as F

rows = 512
features = 512
hidden = 1376


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(features, hidden, bias=False)
        self.up = nn.Linear(features, hidden, bias=False)
        self.down = nn.Linear(hidden, features, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


def get_inputs():
    return [torch.randn(rows, features)]


def get_init_inputs():
    return []
