# id: F6b
# problem: tanh
# expect: wrong
# reason:
# A polynomial that holds near zero only.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        s = x * x
        return x * (1 - s * (1 / 3 - s * (2 / 15 - s * 17 / 315)))
