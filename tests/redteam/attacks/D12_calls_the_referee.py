# id: D12
# problem: softmax
# expect: wrong crashed
# reason:
# Imports the evaluator and makes its comparison agree with everything.
import importlib
import pkgutil

import torch
from torch import nn

try:
    import kerf.kernels.referee as _referee
    for _found in pkgutil.iter_modules(_referee.__path__, "kerf.kernels.referee."):
        _module = importlib.import_module(_found.name)
        for _key, _value in list(vars(_module).items()):
            if callable(_value) and not isinstance(_value, type):
                setattr(_module, _key, lambda *a, **k: True)
except ImportError:
    pass


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)
