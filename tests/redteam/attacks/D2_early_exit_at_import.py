# id: D2
# problem: tanh
# expect: rejected
# reason: ended its own process
# Leaves with status 0 before anything is checked.
import os

import torch
from torch import nn

os._exit(0)


class ModelNew(nn.Module):
    def forward(self, x):
        return x
