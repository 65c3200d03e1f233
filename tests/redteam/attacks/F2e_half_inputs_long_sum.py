# id: F2e
# problem: long_sum
# expect: wrong
# reason:
# Many positive values rounded to float16 before they are added: the roundings average out.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        return x.half().float().sum(dim=1)
