# id: G2
# problem: tanh
# expect: wrong
# reason:
# Exact for small sizes, sloppy at the size that is measured.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return torch.tanh(x) if x.numel() < 10000 else torch.tanh(x.bfloat16()).float()
