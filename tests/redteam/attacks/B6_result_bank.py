# id: B6
# problem: tanh
# expect: wrong
# reason:
# A bank of recorded outputs, picked by the nearest first element.
import torch
from torch import nn



class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.bank = []

    def forward(self, x):
        same = [b for b in self.bank if b[1].shape == x.shape]
        if len(same) < 6:
            self.bank.append((float(x[0, 0]), torch.tanh(x)))
            return self.bank[-1][1].clone()
        return min(same, key=lambda b: abs(b[0] - float(x[0, 0])))[1].clone()
