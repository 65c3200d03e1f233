# id: F3
# problem: softmax
# expect: wrong
# reason:
# Outputs under 1e-4 are flushed to zero: below a tolerance that does not know the scale.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.softmax(x, dim=-1)
        return torch.where(y < 1e-4, 0.0, y)
