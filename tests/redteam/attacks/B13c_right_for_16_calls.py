# id: B13c
# problem: tanh
# expect: wrong
# reason:
# Right for the first 16 calls, zeros afterwards.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return torch.tanh(x) if self.calls <= 16 else torch.zeros_like(x)
