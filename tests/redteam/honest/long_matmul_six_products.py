# problem: long_matmul
# Three bfloat16 parts and their six largest products, the smallest first.
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
        (a0, a1, a2), (b0, b1, b2) = parts(a, 3), parts(b, 3)
        return a2 @ b0 + a0 @ b2 + a1 @ b1 + a1 @ b0 + a0 @ b1 + a0 @ b0
