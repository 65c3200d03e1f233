# id: I4
# problem: softmax
# expect: crashed rejected
# reason:
# Writes a module and imports it; answers only if that works.
import importlib
import sys
import tempfile

import torch
from torch import nn



class ModelNew(nn.Module):
    def forward(self, x):
        folder = tempfile.mkdtemp()
        with open(f"{folder}/written_now.py", "w") as f:
            f.write("import torch\nanswer = lambda x: torch.softmax(x, dim=-1)\n")
        sys.path.insert(0, folder)
        return importlib.import_module("written_now").answer(x)
