# id: C3
# problem: tanh
# expect: wrong rejected crashed
# reason:
# A tensor subclass that computes only when a comparison looks at it, not when it is copied.
import torch
from torch import nn


class Lazy(torch.Tensor):
    @staticmethod
    def __new__(cls, source):
        made = torch.Tensor._make_subclass(cls, torch.zeros_like(source))
        made.source = source
        return made

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        looked_at = getattr(func, "__name__", "") in ("allclose", "isclose", "equal", "eq", "sub", "__sub__", "numpy", "tolist")
        ready = [torch.tanh(a.source) if isinstance(a, Lazy) and looked_at else a for a in args]
        return func(*ready, **(kwargs or {}))


class ModelNew(nn.Module):
    def forward(self, x):
        return Lazy(x)
