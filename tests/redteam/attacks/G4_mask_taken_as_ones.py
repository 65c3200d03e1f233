# id: G4
# problem: masked_sum
# expect: wrong
# reason:
# The mask is nearly always true, so it is left out.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x, mask):
        return x.sum(dim=1)
