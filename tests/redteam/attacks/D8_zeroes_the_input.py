# id: D8
# problem: relu
# expect: rejected
# reason: wrote to its inputs
# Zeroes its input, so that the reference would see zeros too.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        x.zero_()
        return torch.zeros_like(x)
