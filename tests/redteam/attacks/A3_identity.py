# id: A3
# problem: relu
# expect: wrong
# reason:
# The input itself: the problem draws from [0, 1), where ReLU does nothing.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return x.clone()
