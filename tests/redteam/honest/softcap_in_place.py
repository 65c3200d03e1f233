# problem: softcap
# In place on a copy of its own.
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        return x.clone().div_(30.0).tanh_().mul_(30.0)
