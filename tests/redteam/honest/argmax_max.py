# problem: argmax
# The index of torch.max.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.max(x, dim=1).indices
