# id: F1j
# problem: conv
# expect: wrong
# reason:
# Two bfloat16 parts in a convolution, within what Winograd's algorithm may add.
import torch
from torch import nn


def parts(x, count):
    """`x` as a sum of bfloat16 values."""
    found = []
    for _ in range(count):
        found.append(x.bfloat16().float())
        x = x - found[-1]
    return found


class ModelNew(nn.Module):
    def __init__(self, channels, filters):
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, 3, padding=1)

    def forward(self, x):
        def conv(a, b):
            return nn.functional.conv2d(a, b, padding=1)

        (xh, xl), (wh, wl) = parts(x, 2), parts(self.conv.weight, 2)
        return torch.relu(
            conv(xl, wh) + conv(xh, wl) + conv(xh, wh) + self.conv.bias[:, None, None]
        )
