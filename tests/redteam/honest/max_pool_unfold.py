# problem: max_pool
# Padding with minus infinity and nine slices.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        p = nn.functional.pad(x, (1, 2, 1, 2), value=float("-inf"))
        h, w = (x.shape[2] - 1) // 2 + 1, (x.shape[3] - 1) // 2 + 1
        slices = [
            p[:, :, i : i + 2 * h : 2, j : j + 2 * w : 2][:, :, :h, :w] for i in range(3) for j in range(3)
        ]
        return torch.stack(slices).amax(dim=0)
