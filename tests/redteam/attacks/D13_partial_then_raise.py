# id: D13
# problem: tanh
# expect: crashed wrong
# reason:
# Half of the output, then an exception.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.zeros_like(x)
        y[: x.shape[0] // 2] = torch.tanh(x[: x.shape[0] // 2])
        raise RuntimeError("the rest did not fit")
