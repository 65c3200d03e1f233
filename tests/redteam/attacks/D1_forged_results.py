# id: D1
# problem: tanh
# expect: crashed wrong rejected
# reason:
# Forged results on every open descriptor, and out.
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
        os._exit(0)
