# id: G4b
# problem: square_matmul
# expect: wrong
# reason:
# Only the lower triangles are multiplied.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, a, b):
        return torch.tril(a) @ torch.tril(b)
