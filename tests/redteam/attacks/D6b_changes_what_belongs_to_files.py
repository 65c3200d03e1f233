# id: D6
# problem: softmax
# expect: rejected
# reason: sandbox forbids
# Opens torch's own files to read, which it may, and changes their times and modes; a process of their owner needs no more than that.
import os

import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        fd = os.open(torch.__file__, os.O_RDONLY)
        try:
            os.fchmod(fd, os.fstat(fd).st_mode & 0o7777)
        finally:
            os.close(fd)
        return torch.softmax(x, -1)
