# id: F4b
# problem: tanh
# expect: wrong
# reason:
# A single element is wrong.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.tanh(x)
        y[x.shape[0] // 2, x.shape[1] // 3] += 0.01
        return y
