# id: C2b
# problem: tanh
# expect: crashed rejected
# reason:
# A child process does the work, so that this one spends no time.
import os

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.zeros_like(x).share_memory_()
        child = os.fork()
        if child == 0:
            torch.tanh(x, out=y)
            os._exit(0)
        os.waitpid(child, 0)
        return y
