# id: F2f
# problem: long_sum
# expect: wrong
# reason:
# Many positive values kept in 16 bits.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        high = x.bfloat16().float()
        return (high + (x - high).bfloat16().float()).double().sum(dim=1).float()
