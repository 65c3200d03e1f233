# id: F8b
# problem: tanh
# expect: wrong rejected
# reason:
# The answer in float64.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return torch.tanh(x.double())
