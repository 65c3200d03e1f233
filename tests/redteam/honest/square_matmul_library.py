# problem: square_matmul
# torch.mm into a given output.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, a, b):
        return torch.mm(a, b, out=torch.empty(a.shape[0], b.shape[1]))
