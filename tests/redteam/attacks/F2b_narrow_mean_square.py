# id: F2b
# problem: rms_norm
# expect: wrong
# reason:
# The mean square in bfloat16.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        mean = x.bfloat16().square().mean(dim=-1, keepdim=True).float()
        return x * torch.rsqrt(mean + 1e-6)
