# id: A7b
# problem: tanh
# expect: wrong
# reason:
# Only the first rows, where a check that samples a prefix would look.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.zeros_like(x)
        y[:16] = torch.tanh(x[:16])
        return y
