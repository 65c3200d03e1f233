# id: F1b
# problem: matmul
# expect: wrong
# reason:
# float16 inside.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, a, b):
        return (a.half().float() @ b.half().float())
