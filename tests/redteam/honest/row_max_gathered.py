# problem: row_max
# The index first, the value gathered; returned as a list.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        index = torch.argmax(x, dim=1)
        return [x.gather(1, index[:, None]).squeeze(1), index]
