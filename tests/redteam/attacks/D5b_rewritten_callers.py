# id: D5b
# problem: softmax
# expect: wrong crashed rejected
# reason:
# The code objects of the callers are searched for checks, whose constants are rewritten.
import sys

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        frame = sys._getframe().f_back
        while frame is not None:
            for key, value in list(frame.f_globals.items()):
                if isinstance(value, float):
                    frame.f_globals[key] = 1e30
            frame = frame.f_back
        return torch.zeros_like(x)
