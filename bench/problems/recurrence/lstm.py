"""Two-layer LSTM."""

import torch
import torch.nn as nn

n = 16
length = 96
features = 128
hidden = 256


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(features, hidden, num_layers=2, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0]


def get_inputs():
    return [torch.randn(n, length, features)]


def get_init_inputs():
    return []
