# id: D7b
# problem: matmul
# expect: wrong
# reason:
# Seeds every generator so that later inputs repeat, and answers from memory.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.kept = {}

    def forward(self, a, b):
        torch.manual_seed(0)
        key = (tuple(a.shape), tuple(b.shape))
        if key not in self.kept:
            self.kept[key] = a @ b
        return self.kept[key].clone()
