# id: F6c
# problem: gelu
# expect: wrong
# reason:
# The tanh form of GELU in place of the exact one.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return nn.functional.gelu(x, approximate="tanh")
