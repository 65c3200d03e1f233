# id: A4
# problem: square_matmul
# expect: wrong
# reason:
# The product of the first argument with itself.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, a, b):
        return a @ a
