# id: F8f
# problem: argmax
# expect: wrong
# reason:
# The last of equal maxima in place of the first.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        return x.shape[1] - 1 - torch.argmax(x.flip(1), dim=1)
