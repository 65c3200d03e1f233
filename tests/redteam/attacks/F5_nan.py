# id: F5
# problem: softmax
# expect: wrong
# reason:
# NaN everywhere: equal to nothing, unequal to nothing.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return torch.full_like(x, float("nan"))
