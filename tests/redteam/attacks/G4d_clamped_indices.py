# id: G4d
# problem: gather
# expect: wrong
# reason:
# Rows beyond the first 64 are taken for absent.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, table, index):
        return table[index.clamp(max=63)]
