# problem: long_sum
# One float32 accumulator a row.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
void run(const float *x, float *y, long rows, long n) {
    for (long r = 0; r < rows; r++) {
        float s = 0;
        for (long i = 0; i < n; i++) s += x[r * n + i];
        y[r] = s;
    }
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


def _n(*sizes):
    return [ctypes.c_long(s) for s in sizes]


class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty(x.shape[0])
        _library.run(_at(x), _at(y), *_n(*x.shape))
        return y
