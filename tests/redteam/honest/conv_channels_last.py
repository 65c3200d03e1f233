# problem: conv
# Computed and returned in channels-last memory.
import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self, channels, filters):
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, 3, padding=1)

    def forward(self, x):
        return torch.relu(self.conv(x.contiguous(memory_format=torch.channels_last)))
