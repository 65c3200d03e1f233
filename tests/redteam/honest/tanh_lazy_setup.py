# problem: tanh
# Prepares something at the first call, and only then.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        if not hasattr(self, "ready"):
            self.ready = torch.arange(100000).sum()
        return torch.tanh(x)
