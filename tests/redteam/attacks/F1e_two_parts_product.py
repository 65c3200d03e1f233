# id: F1e
# problem: matmul
# expect: wrong
# reason:
# Two bfloat16 parts where three are due: three products, 16 to 17 bits.
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
        (ah, al), (bh, bl) = parts(a, 2), parts(b, 2)
        return al @ bh + ah @ bl + ah @ bh
