# problem: long_sum
# Torch's pairwise sums, in two steps.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.stack([part.sum(dim=1) for part in x.split(1000, dim=1)]).sum(dim=0)
