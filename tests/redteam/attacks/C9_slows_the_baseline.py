# id: C9
# problem: tanh
# expect: rejected
# reason: sandbox forbids
# Children that burn the processor, so that whoever is measured next looks slow.
import os
import time

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        for _ in range(2):
            if os.fork() == 0:
                stop = time.time() + 0.2
                while time.time() < stop:
                    pass
                os._exit(0)
        return torch.tanh(x)
