# id: F2d
# problem: matmul
# expect: wrong
# reason:
# Products of float16 added in float16.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, a, b):
        y = torch.zeros(a.shape[0], b.shape[1], dtype=torch.float16)
        for k in range(a.shape[1]):
            y += a[:, k : k + 1].half() * b[k : k + 1].half()
        return y.float()
