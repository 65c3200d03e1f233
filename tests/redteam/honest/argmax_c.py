# problem: argmax
# The first maximum, NaN winning.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
void run(const float *x, long *y, long rows, long n) {
    for (long r = 0; r < rows; r++, x += n) {
        long best = 0;
        for (long i = 1; i < n && x[best] == x[best]; i++) if (x[i] > x[best] || x[i] != x[i]) best = i;
        y[r] = best;
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
        y = torch.empty(x.shape[0], dtype=torch.int64)
        _library.run(_at(x), _at(y), *_n(*x.shape))
        return y
