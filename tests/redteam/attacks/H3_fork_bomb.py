# id: H3
# problem: softmax
# expect: rejected
# reason: sandbox forbids
# Starts processes without end (stops by itself after 64, should nobody else).
import os

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        for _ in range(64):
            if os.fork() == 0:
                os._exit(0)
        return torch.softmax(x, dim=-1)
