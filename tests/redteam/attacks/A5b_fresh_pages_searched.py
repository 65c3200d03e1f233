# id: A5b
# problem: softmax
# expect: wrong
# reason:
# Many uninitialised blocks are searched for rows that sum to one.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        for _ in range(32):
            t = torch.empty_like(x)
            if bool(((t.sum(-1) - 1).abs() < 1e-3).all()):
                return t
        return torch.empty_like(x)
