# id: D3c
# problem: softmax
# expect: crashed rejected
# reason:
# Opens the memory of the evaluator; answers only if that works.
import os

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        with open(f"/proc/{os.getppid()}/mem", "rb"):
            return torch.softmax(x, dim=-1)
