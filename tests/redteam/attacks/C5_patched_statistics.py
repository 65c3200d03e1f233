# id: C5
# problem: tanh
# expect: wrong
# reason:
# The aggregation functions are patched to report nothing.
import math
import statistics

import torch
from torch import nn

statistics.median = statistics.mean = lambda *a, **k: 1e-9
math.isclose = lambda *a, **k: True


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)
