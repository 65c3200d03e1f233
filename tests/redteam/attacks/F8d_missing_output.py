# id: F8d
# problem: row_max
# expect: wrong rejected
# reason:
# The values without their indices.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return torch.amax(x, dim=1)
