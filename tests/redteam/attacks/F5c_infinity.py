# id: F5c
# problem: tanh
# expect: wrong
# reason:
# Infinities in place of large arguments.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return torch.where(x.abs() > 2.5, float("inf"), torch.tanh(x))
