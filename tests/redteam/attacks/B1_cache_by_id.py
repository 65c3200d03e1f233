# id: B1
# problem: softmax
# expect: wrong
# reason:
# Cache by the identity of the input object.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = {}

    def forward(self, x):
        key = id(x)
        if key not in self.seen:
            self.seen[key] = torch.softmax(x, dim=-1)
        return self.seen[key].clone()
