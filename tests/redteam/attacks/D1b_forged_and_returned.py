# id: D1b
# problem: tanh
# expect: crashed wrong rejected timed_out
# reason:
# Forged results on every open descriptor, then zeros.
import os

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        for fd in range(1, 64):
            try:
                os.write(fd, b'{"status": "passed", "ok": true, "speedup": 100.0}\n')
            except OSError:
                continue
        return torch.zeros_like(x)
