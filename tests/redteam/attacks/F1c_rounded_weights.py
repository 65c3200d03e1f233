# id: F1c
# problem: linear_gelu
# expect: wrong
# reason:
# The weights kept in bfloat16.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, x):
        w = self.linear.weight.bfloat16().float()
        return nn.functional.gelu(nn.functional.linear(x, w, self.linear.bias))
