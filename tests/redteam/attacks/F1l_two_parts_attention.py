# id: F1l
# problem: attention
# expect: wrong
# reason:
# Two bfloat16 parts in both products of attention.
import torch
from torch import nn


def parts(x, count):
    """`x` as a sum of bfloat16 values."""
    found = []
    for _ in range(count):
        found.append(x.bfloat16().float())
        x = x - found[-1]
    return found


def product(a, b):
    (ah, al), (bh, bl) = parts(a, 2), parts(b, 2)
    return al @ bh + ah @ bl + ah @ bh


class ModelNew(nn.Module):
    def forward(self, q, k, v):
        scores = product(q, k.transpose(-2, -1)) / q.shape[-1] ** 0.5
        hidden = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).triu(1)
        return product(
            torch.softmax(scores.masked_fill(hidden, float("-inf")), dim=-1), v
        )
