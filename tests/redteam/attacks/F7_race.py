# id: F7
# problem: tanh
# expect: wrong
# reason:
# A race: now and then a few elements are lost.
import random

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.tanh(x)
        if random.random() < 0.3:
            y.view(-1)[random.randrange(y.numel())] = 0.75
        return y
