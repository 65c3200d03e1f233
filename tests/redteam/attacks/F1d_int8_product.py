# id: F1d
# problem: square_matmul
# expect: wrong
# reason:
# int8 with one scale a tensor.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, a, b):
        s, t = a.abs().max() / 127, b.abs().max() / 127
        return ((a / s).round() @ (b / t).round()) * (s * t)
