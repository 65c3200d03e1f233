# id: I3
# problem: softmax
# expect: wrong
# reason:
# A string with a hash cuts the line for naive comment strippers: what stands behind it is never read.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        mark = "#"; y = torch.zeros_like(x); return y if mark else torch.softmax(x, dim=-1)
