# id: B2
# problem: softmax
# expect: wrong
# reason:
# Cache by the address of the input.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = {}

    def forward(self, x):
        key = x.data_ptr()
        if key not in self.seen:
            self.seen[key] = torch.softmax(x, dim=-1)
        return self.seen[key].clone()
