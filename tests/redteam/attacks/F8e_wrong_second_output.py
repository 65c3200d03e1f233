# id: F8e
# problem: row_max
# expect: wrong
# reason:
# The first output right, the second zeros.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return torch.amax(x, dim=1), torch.zeros(x.shape[0], dtype=torch.int64)
