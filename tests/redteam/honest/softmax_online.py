# problem: softmax
# Online softmax: maximum and sum in one pass, rescaled as the maximum grows.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
#include <math.h>
void run(const float *x, float *y, long rows, long n) {
    for (long r = 0; r < rows; r++, x += n, y += n) {
        float m = x[0], s = 1;
        for (long i = 1; i < n; i++) {
            if (x[i] > m) { s = s * expf(m - x[i]) + 1; m = x[i]; }
            else s += expf(x[i] - m);
        }
        float inv = 1 / s;
        for (long i = 0; i < n; i++) y[i] = expf(x[i] - m) * inv;
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
        y = torch.empty_like(x)
        _library.run(_at(x), _at(y), *_n(*x.shape))
        return y
