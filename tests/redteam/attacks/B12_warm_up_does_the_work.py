# id: B12
# problem: softmax
# expect: wrong
# reason:
# The first calls are answered, later ones get the answer to the first.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = None

    def forward(self, x):
        if self.first is None or self.first.shape != x.shape:
            self.first = torch.softmax(x, dim=-1)
        return self.first.clone()
