# id: D13b
# problem: tanh
# expect: wrong
# reason:
# The kernel fails; the failure is swallowed and zeros are returned.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        try:
            raise RuntimeError("no kernel for this size")
        except RuntimeError:
            return torch.zeros_like(x)
