# id: A7c
# problem: cumsum
# expect: wrong
# reason:
# All but the last element of the last row.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.cumsum(x, dim=1)
        y[-1, -1] = 0.0
        return y
