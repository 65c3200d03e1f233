# id: F6d
# problem: layer_norm
# expect: wrong
# reason:
# E[x^2] - E[x]^2 in float32: cancels when the mean is large.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self, columns):
        super().__init__()
        self.norm = nn.LayerNorm(columns)

    def forward(self, x):
        mean = x.bfloat16().float().mean(-1, keepdim=True)
        var = (x * x).mean(-1, keepdim=True) - mean * mean
        return (x - mean) * torch.rsqrt(var + 1e-5) * self.norm.weight + self.norm.bias
