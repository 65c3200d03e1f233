# id: H4
# problem: softmax
# expect: crashed
# reason:
# Allocates without end (stops at 64 GiB, should nobody else).
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        kept = [torch.ones(1 << 26) for _ in range(256)]
        return torch.softmax(x, dim=-1) + kept[0][0] * 0
