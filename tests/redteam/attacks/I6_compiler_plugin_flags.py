# id: I6
# problem: softmax
# expect: rejected
# reason: not on the list of allowed
# Flags that make the compiler load code of the candidate.
import torch
from torch import nn

C_SOURCE = "int f(void) { return 0; }"
C_FLAGS = ["-O2", "-fplugin=./evil.so", "-wrapper", "/bin/sh,-c"]


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.softmax(x, dim=-1)
