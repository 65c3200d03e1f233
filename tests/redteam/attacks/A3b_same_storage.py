# id: A3b
# problem: relu
# expect: wrong rejected
# reason:
# The input object itself.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return x
