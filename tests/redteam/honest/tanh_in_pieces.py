# problem: tanh
# Row blocks written into a preallocated output.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        for start in range(0, x.shape[0], 16):
            torch.tanh(x[start : start + 16], out=y[start : start + 16])
        return y
