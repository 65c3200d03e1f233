# id: F8c
# problem: logsumexp
# expect: wrong rejected
# reason:
# The right values with a dimension too many.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return torch.logsumexp(x, dim=1, keepdim=True)
