# problem: recurrence
# addmm a step.
import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(width, width))

    def forward(self, x, h):
        for step in x:
            h = torch.addmm(step, h, self.w).tanh_()
        return h
