# problem: layer_norm
# Mean and variance written out.
import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self, columns):
        super().__init__()
        self.norm = nn.LayerNorm(columns)

    def forward(self, x):
        d = x - x.mean(dim=-1, keepdim=True)
        return (
            d * torch.rsqrt(d.square().mean(dim=-1, keepdim=True) + 1e-5) * self.norm.weight + self.norm.bias
        )
