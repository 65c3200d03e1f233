# id: D2b
# problem: tanh
# expect: rejected
# reason: instead of returning
# SystemExit(0) in place of an answer.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        raise SystemExit(0)
