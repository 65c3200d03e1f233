# id: F1n
# problem: conv
# expect: wrong
# reason:
# Operands rounded to ten bits (TF32).
import torch
from torch import nn


def ten_bits(x):
    """Rounded to TF32's significand."""
    return ((x.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


class ModelNew(nn.Module):
    def __init__(self, channels, filters):
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, 3, padding=1)

    def forward(self, x):
        y = nn.functional.conv2d(ten_bits(x), ten_bits(self.conv.weight), padding=1)
        return torch.relu(y + self.conv.bias[:, None, None])
