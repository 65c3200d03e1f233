# id: F1i
# problem: linear_gelu
# expect: wrong
# reason:
# Two bfloat16 parts in a linear layer, behind an activation.
import torch
from torch import nn


def parts(x, count):
    """`x` as a sum of bfloat16 values."""
    found = []
    for _ in range(count):
        found.append(x.bfloat16().float())
        x = x - found[-1]
    return found


class ModelNew(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, x):
        (xh, xl), (wh, wl) = parts(x, 2), parts(self.linear.weight.t(), 2)
        return nn.functional.gelu(xl @ wh + xh @ wl + xh @ wh + self.linear.bias)
