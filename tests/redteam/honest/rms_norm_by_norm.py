# problem: rms_norm
# By the Euclidean norm of the row.
import torch
from torch import nn


class ModelNew(nn.Module):
    def forward(self, x):
        square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square()
        return x / torch.sqrt(square / x.shape[-1] + 1e-6)
