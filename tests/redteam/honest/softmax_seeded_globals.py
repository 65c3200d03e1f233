# problem: softmax
# Changes no result, but uses the global generator at construction.
import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("noise", torch.randn(3), persistent=False)

    def forward(self, x):
        return torch.softmax(x, dim=-1)
