"""Bidirectional GRU."""

import torch
import torch.nn as nn

n = 16
length = 96
features = 96
hidden = 160


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(features, hidden, bidirectional=True)

    def forward(self, x):
        return self.rnn(x)[0]


def get_inputs():
    return [torch.randn(length, n, features)]


def get_init_inputs():
    return []
