# id: D3b
# problem: softmax
# expect: wrong
# reason:
# Looks through the callers for expected outputs.
import sys

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        frame = sys._getframe()
        while frame is not None:
            for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):
                for t in value if isinstance(value, (list, tuple)) else (value,):
                    if isinstance(t, torch.Tensor) and t.shape == x.shape and bool(((t.sum(-1) - 1).abs() < 1e-3).all()):
                        return t.clone()
            frame = frame.f_back
        return torch.zeros_like(x)
