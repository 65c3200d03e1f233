# problem: cumsum
# Sums of blocks first, then within blocks.
import itertools

import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        parts = [torch.cumsum(p, dim=1) for p in x.split(64, dim=1)]
        for left, right in itertools.pairwise(parts):
            right += left[:, -1:]
        return torch.cat(parts, dim=1)
