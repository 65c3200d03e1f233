"""Linear layer, Mish, then a sum over features."""

import torch
import torch.nn as nn
import torch.nn.functional as F

rows = 3000
fin = 700
fout = 900


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(fin, fout)

    def forward(self, x):
        return F.mish(self.fc(x)).sum(dim=1, keepdim=True)


def get_inputs():
    return [torch.randn(rows, fin)]


def get_init_inputs():
    return []
