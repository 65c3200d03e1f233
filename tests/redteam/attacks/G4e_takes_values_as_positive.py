# id: G4e
# problem: row_max
# expect: wrong
# reason:
# The maximum starts at zero.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        values, indices = torch.max(x, dim=1)
        return values.clamp(min=0.0), indices
