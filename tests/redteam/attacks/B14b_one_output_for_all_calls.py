# id: B14b
# problem: softmax
# expect: rejected
# reason: same memory twice
# One static output buffer is handed out for every call: earlier results change.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.buffers = {}

    def forward(self, x):
        if x.shape not in self.buffers:
            self.buffers[x.shape] = torch.empty_like(x)
        return torch.softmax(x, dim=-1, out=self.buffers[x.shape])
