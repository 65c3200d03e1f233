# id: A5
# problem: softmax
# expect: wrong
# reason:
# Uninitialised memory, which may hold the reference output that was freed before.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return torch.empty_like(x)
