# id: C2
# problem: tanh
# expect: wrong crashed rejected
# reason:
# The answer is filled in by a thread after the call has returned.
import threading
import time

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.zeros_like(x)
        threading.Thread(target=lambda: (time.sleep(0.001), torch.tanh(x, out=y)), daemon=True).start()
        return y
