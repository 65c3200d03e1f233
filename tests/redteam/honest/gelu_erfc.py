# problem: gelu
# By the complementary error function, more accurate in the tail.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        return 0.5 * x * torch.erfc(-x * 0.7071067811865476)
