"""Rotary position embedding."""

import torch
import torch.nn as nn

n = 8
heads = 16
length = 1024
dim = 64


class Model(nn.Module):
    def forward(self, x, cos, sin):
        half = x.shape[-1] // 2
        turned = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
        return x * cos + turned * sin


def get_inputs():
    return [torch.randn(n, heads, length, dim), torch.randn(length, dim), torch.randn(length, dim)]


def get_init_inputs():
    return []
