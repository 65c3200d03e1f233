# problem: matmul
# einsum.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, a, b):
        return torch.einsum("mk,kn->mn", a, b)
