# id: G6
# problem: batch_matmul
# expect: wrong
# reason:
# Only the first of the batch is multiplied.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, a, b):
        return (a[:1] @ b[:1]).expand(a.shape[0], -1, -1).contiguous()
