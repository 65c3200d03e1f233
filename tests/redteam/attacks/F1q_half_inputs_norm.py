# id: F1q
# problem: layer_norm
# expect: wrong
# reason:
# The moments from values rounded to float16.
import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self, columns):
        super().__init__()
        self.norm = nn.LayerNorm(columns)

    def forward(self, x):
        short = x.half().float()
        scale = torch.rsqrt(short.var(dim=-1, correction=0, keepdim=True) + 1e-5)
        return (
            x - short.mean(dim=-1, keepdim=True)
        ) * scale * self.norm.weight + self.norm.bias
