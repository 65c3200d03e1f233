"""Causal attention with wide heads."""

import torch
import torch.nn as nn
import torch.nn.functional as F

n = 2
heads = 8
length = 640
dim = 128


class Model(nn.Module):
    def forward(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def get_inputs():
    return [
        torch.randn(n, heads, length, dim),
        torch.randn(n, heads, length, dim),
        torch.randn(n, heads, length, dim),
    ]


def get_init_inputs():
    return []
