# id: F1p
# problem: attention
# expect: wrong
# reason:
# Queries, keys and values rounded to float16, everything else in float32.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, q, k, v):
        q, k, v = (t.half().float() for t in (q, k, v))
        return nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
