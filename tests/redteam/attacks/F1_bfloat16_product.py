# id: F1
# problem: matmul
# expect: wrong
# reason:
# float32 in and out, bfloat16 inside.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, a, b):
        return (a.bfloat16() @ b.bfloat16()).float()
