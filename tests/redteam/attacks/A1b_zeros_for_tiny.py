# id: A1b
# problem: tanh
# expect: wrong
# reason:
# Zero for every small value: invisible under an absolute tolerance.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return torch.where(x.abs() < 1e-3, 0.0, torch.tanh(x))
