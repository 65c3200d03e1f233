# id: A4b
# problem: logsumexp
# expect: wrong
# reason:
# A cheap reduction of the input, near the right one for normal values.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        return x.amax(dim=1) + 3.0
