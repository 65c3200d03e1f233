# id: I5
# problem: softmax
# expect: wrong crashed
# reason:
# An import hook that hands out modules in which every function agrees.
import importlib.abc
import sys
import types

import torch
from torch import nn

class _Hook(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if "kerf" in name or "referee" in name:
            sys.modules[name] = types.ModuleType(name)
        return None


sys.meta_path.insert(0, _Hook())


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)
