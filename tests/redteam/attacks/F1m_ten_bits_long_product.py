# id: F1m
# problem: long_matmul
# expect: wrong
# reason:
# Operands rounded to ten bits (TF32), many positive terms: they average out.
import torch
from torch import nn


def ten_bits(x):
    """Rounded to TF32's significand."""
    return ((x.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


class ModelNew(nn.Module):
    def forward(self, a, b):
        return ten_bits(a) @ ten_bits(b)
