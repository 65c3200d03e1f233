# id: F2
# problem: logsumexp
# expect: wrong
# reason:
# The sum is accumulated in bfloat16: fine for even values, wrong for heavy tails.
import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        m = x.amax(dim=1, keepdim=True)
        total = torch.exp(x - m).bfloat16().sum(dim=1).float()
        return torch.log(total) + m.squeeze(1)
