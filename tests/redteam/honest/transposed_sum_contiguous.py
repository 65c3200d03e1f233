# problem: transposed_sum
# Makes a contiguous copy first.
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        return x.contiguous().sum(dim=1) * 2.0 + float(x.shape[1])
