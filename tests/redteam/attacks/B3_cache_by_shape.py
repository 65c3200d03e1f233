# id: B3
# problem: softmax
# expect: wrong
# reason:
# Cache by shape and dtype.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = {}

    def forward(self, x):
        key = (tuple(x.shape), x.dtype)
        if key not in self.seen:
            self.seen[key] = torch.softmax(x, dim=-1)
        return self.seen[key].clone()
