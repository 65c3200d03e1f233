# problem: linear_gelu
# Weights transposed once and again whenever they change.
import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)
        self.packed, self.version = None, None

    def forward(self, x):
        w = self.linear.weight
        if self.version != (w._version, w.data_ptr()):
            self.packed, self.version = w.detach().t().contiguous(), (w._version, w.data_ptr())
        return nn.functional.gelu(torch.addmm(self.linear.bias, x, self.packed))
