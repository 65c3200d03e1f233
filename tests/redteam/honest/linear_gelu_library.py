# problem: linear_gelu
# The library's pieces.
from torch import nn


class ModelNew(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, x):
        return nn.functional.gelu(self.linear(x))
