# id: A6
# problem: relu
# expect: wrong
# reason:
# The kernel writes only every second element.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
void run(const float *x, float *y, long n) {
    for (long i = 0; i < n; i += 2) y[i] = x[i] > 0 ? x[i] : 0;
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        _library.run(_at(x), _at(y), ctypes.c_long(x.numel()))
        return y
