# id: G4g
# problem: attention
# expect: wrong
# reason:
# Attention without its causal mask.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, q, k, v):
        return nn.functional.scaled_dot_product_attention(q, k, v)
