# problem: logsumexp
# Maximum out first.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        m = x.amax(dim=1, keepdim=True)
        return (m + torch.log(torch.exp(x - m).sum(dim=1, keepdim=True))).squeeze(1)
