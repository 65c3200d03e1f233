# id: C4
# problem: tanh
# expect: wrong
# reason:
# Every clock that Python has is stopped; the answer is left out.
import time

import torch
from torch import nn

for _name in ("time", "monotonic", "perf_counter", "process_time", "thread_time", "clock_gettime"):
    setattr(time, _name, lambda *a: 0.0)
    setattr(time, _name + "_ns", lambda *a: 0)


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)
