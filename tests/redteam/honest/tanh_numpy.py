# problem: tanh
# numpy does the work.
import numpy as np
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.from_numpy(np.tanh(x.numpy()))
