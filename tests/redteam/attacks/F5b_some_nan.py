# id: F5b
# problem: tanh
# expect: wrong
# reason:
# NaN where the work is hard.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return torch.where(x.abs() > 2.5, float("nan"), torch.tanh(x))
