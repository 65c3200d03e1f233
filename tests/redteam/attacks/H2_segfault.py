# id: H2
# problem: softmax
# expect: crashed
# reason: SIGSEGV
# Writes to address zero.
import ctypes

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        ctypes.memset(0, 1, 1)
        return torch.softmax(x, dim=-1)
