# problem: depthwise
# Nine shifted products.
from torch import nn


class ModelNew(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)

    def forward(self, x):
        h, w = x.shape[2:]
        p = nn.functional.pad(x, (1, 1, 1, 1))
        taps = [(i, j) for i in range(3) for j in range(3)]
        return sum(
            p[:, :, i : i + h, j : j + w] * self.conv.weight[:, 0, i, j][:, None, None] for i, j in taps
        )
