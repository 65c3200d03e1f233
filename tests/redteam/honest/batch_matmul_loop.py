# problem: batch_matmul
# One product after another.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, a, b):
        return torch.stack([x @ y for x, y in zip(a, b)])
