# id: A2
# problem: mse
# expect: wrong
# reason:
# The mean squared difference of two normals is near 2, whatever they are.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, prediction, target):
        return torch.tensor(2.0)
