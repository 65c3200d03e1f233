# id: B14
# problem: tanh
# expect: wrong
# reason:
# The returned tensor is changed after it was returned, at the next call.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.earlier = None

    def forward(self, x):
        if self.earlier is not None:
            y, self.earlier = self.earlier, None
            if y.shape == x.shape:
                return y
        y = torch.tanh(x)
        self.earlier = torch.zeros_like(y)
        return y
