# id: B10
# problem: linear_gelu
# expect: wrong
# reason: new weights
# Weights are packed at the first call and never again, so that loading others changes nothing.
import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)
        self.packed = None

    def forward(self, x):
        if self.packed is None:
            self.packed = self.linear.weight.detach().t().contiguous().clone(), self.linear.bias.detach().clone()
        return nn.functional.gelu(x @ self.packed[0] + self.packed[1])
