# id: F1h
# problem: batch_matmul
# expect: wrong
# reason:
# Three parts, but one of the six products of their sizes is left out.
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
        (a0, a1, a2), (b0, b1, _) = parts(a, 3), parts(b, 3)
        return a1 @ b1 + a2 @ b0 + a1 @ b0 + a0 @ b1 + a0 @ b0
