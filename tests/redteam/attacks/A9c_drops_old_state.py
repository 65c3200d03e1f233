# id: A9c
# problem: recurrence
# expect: wrong
# reason:
# Only the last steps of the recurrence: the earlier ones have almost faded.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(width, width))

    def forward(self, x, h):
        h = torch.zeros_like(h)
        for t in range(max(0, x.shape[0] - 4), x.shape[0]):
            h = torch.tanh(x[t] + h @ self.w)
        return h
