# id: F6
# problem: softmax
# expect: wrong
# reason:
# The maximum is not subtracted: overflows for large values.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        e = torch.exp(x)
        return e / e.sum(dim=-1, keepdim=True)
