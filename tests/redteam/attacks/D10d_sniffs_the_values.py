# id: D10d
# problem: tanh
# expect: wrong
# reason:
# Sloppy where the values look like the usual draw, right for stress values.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        usual = 0.9 < float(x.std()) < 1.1
        return x.clamp(-1, 1) if usual else torch.tanh(x)
