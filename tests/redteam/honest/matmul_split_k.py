# problem: matmul
# The reduction in two halves, added.
from torch import nn


class ModelNew(nn.Module):
    def forward(self, a, b):
        h = a.shape[1] // 2
        return a[:, :h] @ b[:h] + a[:, h:] @ b[h:]
