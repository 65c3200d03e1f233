# problem: matmul
# The transposed product, returned as a transposed (non-contiguous) view.
from torch import nn


class ModelNew(nn.Module):
    def forward(self, a, b):
        return (b.t() @ a.t()).t()
