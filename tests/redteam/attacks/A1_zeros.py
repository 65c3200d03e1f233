# id: A1
# problem: softmax
# expect: wrong
# reason:
# Zeros, in the hope that the tolerance is far above the scale of the output.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)
