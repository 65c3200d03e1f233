# problem: masked_sum
# masked_fill and sum.
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x, mask):
        return x.masked_fill(~mask, 0.0).sum(dim=1)
