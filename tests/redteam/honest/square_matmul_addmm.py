# problem: square_matmul
# addmm with beta zero.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, a, b):
        return torch.addmm(torch.zeros(b.shape[1]), a, b, beta=0.0)
