# id: C8
# problem: matmul
# expect: wrong
# reason:
# Process-wide flags changed for whoever computes next, and a result in reduced precision.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, a, b):
        torch.set_flush_denormal(True)
        torch.set_default_dtype(torch.float64)
        torch.set_float32_matmul_precision("medium")
        return (a.bfloat16() @ b.bfloat16()).float()
