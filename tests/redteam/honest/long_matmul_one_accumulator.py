# problem: long_matmul
# Thousands of terms added one after the other in one float32 accumulator.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
void run(const float *a, const float *b, float *y, long m, long k, long n) {
    for (long i = 0; i < m; i++)
        for (long j = 0; j < n; j++) {
            float s = 0;
            for (long p = 0; p < k; p++) s += a[i * k + p] * b[p * n + j];
            y[i * n + j] = s;
        }
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


def _n(*sizes):
    return [ctypes.c_long(s) for s in sizes]


class ModelNew(nn.Module):
    def forward(self, a, b):
        y = torch.empty(a.shape[0], b.shape[1])
        _library.run(_at(a), _at(b), _at(y), *_n(a.shape[0], a.shape[1], b.shape[1]))
        return y
