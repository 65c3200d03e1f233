# id: D11b
# problem: softmax
# expect: rejected
# reason: sandbox forbids
# Runs another program; answers only if that works.
import subprocess
import sys

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        return torch.softmax(x, dim=-1)
