# id: D2c
# problem: tanh
# expect: wrong crashed
# reason:
# A hook at exit that turns any status into success, and zeros.
import atexit
import os

import torch
from torch import nn

atexit.register(lambda: os._exit(0))


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)
