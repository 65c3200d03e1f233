# id: D10b
# problem: tanh
# expect: wrong
# reason:
# Zeros at the size that is measured, the truth at every other.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x) if tuple(x.shape) == (64, 251) else torch.tanh(x)
