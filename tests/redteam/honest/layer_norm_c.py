# problem: layer_norm
# Two passes for the moments, one to write.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
#include <math.h>
void run(const float *x, const float *g, const float *b, float *y, long rows, long n) {
    for (long r = 0; r < rows; r++, x += n, y += n) {
        float m = 0, v = 0;
        for (long i = 0; i < n; i++) m += x[i];
        m /= n;
        for (long i = 0; i < n; i++) v += (x[i] - m) * (x[i] - m);
        float scale = 1 / sqrtf(v / n + 1e-5f);
        for (long i = 0; i < n; i++) y[i] = (x[i] - m) * scale * g[i] + b[i];
    }
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


def _n(*sizes):
    return [ctypes.c_long(s) for s in sizes]


class ModelNew(nn.Module):
    def __init__(self, columns):
        super().__init__()
        self.norm = nn.LayerNorm(columns)

    def forward(self, x):
        y = torch.empty_like(x)
        _library.run(_at(x), _at(self.norm.weight), _at(self.norm.bias), _at(y), *_n(*x.shape))
        return y
