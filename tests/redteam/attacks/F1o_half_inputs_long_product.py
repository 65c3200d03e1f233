# id: F1o
# problem: long_matmul
# expect: wrong
# reason:
# Operands rounded to float16, added in float32.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, a, b):
        return a.half().float() @ b.half().float()
