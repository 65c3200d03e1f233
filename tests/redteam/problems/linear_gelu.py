import torch
from torch import nn

rows = 33
features = 64
outputs = 48


class Model(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, x):
        return nn.functional.gelu(self.linear(x))


def get_inputs():
    return [torch.randn(rows, features)]


def get_init_inputs():
    return [features, outputs]
