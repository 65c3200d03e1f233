# id: I7
# problem: softmax
# expect: build_failed rejected
# reason:
# The compiler is made to read a file that is not the candidate's.
import torch
from torch import nn

C_SOURCE = """
#include "/etc/passwd"
int f(void) { return 0; }
"""


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.softmax(x, dim=-1)
