# id: D9
# problem: softmax
# expect: crashed rejected
# reason:
# Reads the environment and files of the evaluator; answers only if that works.
import os

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        with open(f"/proc/{os.getppid()}/environ", "rb") as f:
            f.read()
        with open(f"/proc/{os.getppid()}/maps", "rb") as f:
            f.read()
        return torch.softmax(x, dim=-1)
