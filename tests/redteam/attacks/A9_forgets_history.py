# id: A9
# problem: cumsum
# expect: wrong
# reason:
# A running sum that starts afresh every 128 elements.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return torch.cat([torch.cumsum(p, dim=1) for p in x.split(128, dim=1)], dim=1)
