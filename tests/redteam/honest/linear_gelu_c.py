# problem: linear_gelu
# Fused in C: product, bias, GELU.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
#include <math.h>
void run(const float *x, const float *w, const float *b, float *y, long m, long k, long n) {
    for (long i = 0; i < m; i++)
        for (long j = 0; j < n; j++) {
            float s = 0;
            for (long p = 0; p < k; p++) s += x[i * k + p] * w[j * k + p];
            s += b[j];
            y[i * n + j] = 0.5f * s * (1 + erff(s * 0.70710678f));
        }
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


def _n(*sizes):
    return [ctypes.c_long(s) for s in sizes]


class ModelNew(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.linear = nn.Linear(features, outputs)

    def forward(self, x):
        w, b = self.linear.weight, self.linear.bias
        y = torch.empty(x.shape[0], w.shape[0])
        _library.run(_at(x), _at(w), _at(b), _at(y), *_n(x.shape[0], x.shape[1], w.shape[0]))
        return y
