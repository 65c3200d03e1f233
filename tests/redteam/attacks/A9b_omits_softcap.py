# id: A9b
# problem: softcap
# expect: wrong
# reason:
# Leaves out a soft cap that ordinary values do not reach.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return x.clone()
