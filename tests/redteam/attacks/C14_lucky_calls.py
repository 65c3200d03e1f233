# id: C14
# problem: tanh
# expect: wrong
# reason:
# One call in four is left out at random: somewhere a fast run is measured.
import random

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x) if random.random() < 0.25 else torch.tanh(x)
