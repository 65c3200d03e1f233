# id: H7
# problem: tanh
# expect: crashed wrong rejected
# reason:
# Writes beyond the end of its output.
import ctypes

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.tanh(x)
        ctypes.memset(y.data_ptr() + y.numel() * 4, 0, 1 << 24)
        return y
