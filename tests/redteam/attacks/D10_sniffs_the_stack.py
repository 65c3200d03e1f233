# id: D10
# problem: tanh
# expect: wrong
# reason:
# Zeros wherever a caller looks like a measurement.
import sys

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        frame, names = sys._getframe(), []
        while frame is not None:
            names.append(frame.f_code.co_name)
            frame = frame.f_back
        busy = any(word in name for name in names for word in ("time", "measure", "bench", "run", "call", "serve", "main", "work", "loop"))
        return torch.zeros_like(x) if busy else torch.tanh(x)
