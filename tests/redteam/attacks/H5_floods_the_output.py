# id: H5
# problem: softmax
# expect: crashed wrong timed_out rejected
# reason:
# Prints without end, then answers wrongly.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        for _ in range(2000):
            print("x" * 1024)
        return torch.zeros_like(x)
