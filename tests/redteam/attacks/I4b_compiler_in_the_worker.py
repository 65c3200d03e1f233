# id: I4b
# problem: softmax
# expect: rejected
# reason: sandbox forbids
# Runs a compiler where only the candidate should run.
import subprocess

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        subprocess.run(["cc", "--version"], check=True, capture_output=True)
        return torch.softmax(x, dim=-1)
