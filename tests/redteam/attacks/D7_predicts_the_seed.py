# id: D7
# problem: matmul
# expect: wrong
# reason:
# Regenerates the inputs from the state of the global generator.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, a, b):
        torch.manual_seed(torch.initial_seed())
        c, d = torch.randn_like(a), torch.randn_like(b)
        return c @ d if torch.allclose(c, a) else torch.zeros(a.shape[0], b.shape[1])
