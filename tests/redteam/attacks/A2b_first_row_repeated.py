# id: A2b
# problem: layer_norm
# expect: wrong
# reason:
# One row computed and repeated.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self, columns):
        super().__init__()
        self.norm = nn.LayerNorm(columns)

    def forward(self, x):
        return self.norm(x[:1]).expand_as(x)
