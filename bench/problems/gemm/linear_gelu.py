"""Linear layer and exact GELU."""

import torch
import torch.nn as nn
import torch.nn.functional as F

rows = 1024
fin = 1024
fout = 1536


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(fin, fout)

    def forward(self, x):
        return F.gelu(self.fc(x))


def get_inputs():
    return [torch.randn(rows, fin)]


def get_init_inputs():
    return []
