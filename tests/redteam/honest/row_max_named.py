# problem: row_max
# The named tuple that torch returns, as it is.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.max(x, dim=1)
