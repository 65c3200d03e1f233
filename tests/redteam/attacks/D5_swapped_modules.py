# id: D5
# problem: softmax
# expect: wrong crashed rejected
# reason:
# Everything of the evaluator that is loaded here is replaced by functions that agree.
import sys

import torch
from torch import nn

for _name, _module in list(sys.modules.items()):
    if _name.startswith("kerf") or _name == "__main__":
        for _key, _value in list(vars(_module).items()):
            if callable(_value) and ("check" in _key or "compare" in _key or "verdict" in _key):
                setattr(_module, _key, lambda *a, **k: True)


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)
