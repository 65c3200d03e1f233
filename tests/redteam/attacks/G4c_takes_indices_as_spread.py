# id: G4c
# problem: gather
# expect: wrong
# reason:
# Repeated indices are taken for an arithmetic progression.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, table, index):
        return table[torch.arange(index.numel()) % table.shape[0]]
