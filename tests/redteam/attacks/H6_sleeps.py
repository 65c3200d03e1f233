# id: H6
# problem: tanh
# expect: timed_out
# reason: took longer
# Sleeps: no processor time is spent, but nothing comes either.
import time

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        time.sleep(3600)
        return torch.tanh(x)
