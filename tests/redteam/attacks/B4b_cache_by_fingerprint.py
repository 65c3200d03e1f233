# id: B4b
# problem: softmax
# expect: wrong
# reason:
# Cache by a fingerprint of a few elements.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = {}

    def forward(self, x):
        key = tuple((x.flatten()[::4096] * 8).round().tolist())[:1] and tuple(x[0, :2].sign().tolist())
        if key not in self.seen:
            self.seen[key] = torch.softmax(x, dim=-1)
        return self.seen[key].clone()
