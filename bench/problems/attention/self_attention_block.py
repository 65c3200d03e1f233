"""Multi-head causal self-attention with its projections."""

import torch
import torch.nn as nn
import torch.nn.functional as F

n = 4
length = 384
features = 384
heads = 6


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(features, 3 * features)
        self.out = nn.Linear(features, features)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (y.view(b, t, heads, c // heads).transpose(1, 2) for y in self.qkv(x).split(c, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(b, t, c))


def get_inputs():
    return [torch.randn(n, length, features)]


def get_init_inputs():
    return []
