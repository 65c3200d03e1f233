# id: F4
# problem: tanh
# expect: wrong
# reason:
# One element in a thousand is wrong: a matched-ratio check lets it through.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.tanh(x)
        y.view(-1)[::997] += 0.5
        return y
