# problem: relu
# Half of x plus its absolute value.
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        return (x + x.abs()) * 0.5
