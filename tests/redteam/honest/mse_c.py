# problem: mse
# Eight partial sums.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
void run(const float *a, const float *b, float *y, long n) {
    float s[8] = {0}, t = 0;
    long i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) { float d = a[i + j] - b[i + j]; s[j] += d * d; }
    for (; i < n; i++) { float d = a[i] - b[i]; t += d * d; }
    for (int j = 0; j < 8; j++) t += s[j];
    *y = t / n;
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


def _n(*sizes):
    return [ctypes.c_long(s) for s in sizes]


class ModelNew(nn.Module):
    def forward(self, prediction, target):
        y = torch.empty(())
        _library.run(_at(prediction), _at(target), _at(y), *_n(target.numel()))
        return y
