# id: F2
# problem: softmax_bf16
# expect: wrong
# Keeps its running sum in bfloat16, which stops growing after a few hundred terms.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        e = torch.exp(x - x.amax(-1, keepdim=True))
        total = torch.zeros_like(e[:, :1])
        for column in range(e.shape[1]):
            total = total + e[:, column : column + 1]
        return e / total
