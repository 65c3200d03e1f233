# id: F1g
# problem: square_matmul
# expect: wrong
# reason:
# All four products of two bfloat16 parts, added in float64: what 16 bits leave is left.
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
    def forward(self, a, b):
        a2, b2 = (sum(p.double() for p in parts(x, 2)) for x in (a, b))
        return (a2 @ b2).float()
