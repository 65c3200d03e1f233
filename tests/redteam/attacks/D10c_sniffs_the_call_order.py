# id: D10c
# problem: tanh
# expect: wrong
# reason:
# Right on even calls and wrong on odd ones, if candidate and baseline alternate.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return torch.tanh(x) if self.calls % 2 else torch.zeros_like(x)
