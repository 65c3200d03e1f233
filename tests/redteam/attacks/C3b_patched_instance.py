# id: C3b
# problem: tanh
# expect: wrong rejected crashed
# reason:
# The returned tensor carries methods of its own, which compute when it is copied out.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.zeros_like(x)
        y.copy_ = y.clone = y.detach = y.contiguous = y.numpy = lambda *a, **k: torch.tanh(x)
        return y
