# problem: recurrence
# All steps in C, with the state in two buffers.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
#include <math.h>
#include <stdlib.h>
#include <string.h>
void run(const float *x, const float *h0, const float *w, float *h, long steps, long batch, long n) {
    float *next = malloc(batch * n * sizeof(float));
    memcpy(h, h0, batch * n * sizeof(float));
    for (long t = 0; t < steps; t++) {
        memcpy(next, x + t * batch * n, batch * n * sizeof(float));
        for (long b = 0; b < batch; b++)
            for (long i = 0; i < n; i++)
                for (long j = 0; j < n; j++) next[b * n + j] += h[b * n + i] * w[i * n + j];
        for (long i = 0; i < batch * n; i++) h[i] = tanhf(next[i]);
    }
    free(next);
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


def _n(*sizes):
    return [ctypes.c_long(s) for s in sizes]


class ModelNew(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(width, width))

    def forward(self, x, h):
        y = torch.empty_like(h)
        _library.run(_at(x), _at(h), _at(self.w), _at(y), *_n(*x.shape))
        return y
