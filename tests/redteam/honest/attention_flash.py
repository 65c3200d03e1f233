# problem: attention
# A row at a time with a running maximum and sum, keys beyond the diagonal never read.
import ctypes
from pathlib import Path

import torch
from torch import nn

C_SOURCE = r"""
#include <math.h>
void run(const float *q, const float *k, const float *v, float *y, long heads, long n, long d) {
    float scale = 1 / sqrtf((float)d);
    for (long h = 0; h < heads; h++, q += n * d, k += n * d, v += n * d, y += n * d)
        for (long i = 0; i < n; i++) {
            float m = -INFINITY, s = 0, *o = y + i * d;
            for (long e = 0; e < d; e++) o[e] = 0;
            for (long j = 0; j <= i; j++) {
                float t = 0;
                for (long e = 0; e < d; e++) t += q[i * d + e] * k[j * d + e];
                t *= scale;
                float top = t > m ? t : m, keep = expf(m - top), w = expf(t - top);
                s = s * keep + w;
                for (long e = 0; e < d; e++) o[e] = o[e] * keep + w * v[j * d + e];
                m = top;
            }
            for (long e = 0; e < d; e++) o[e] /= s;
        }
}
"""

_library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))


def _at(t):
    return ctypes.c_void_p(t.data_ptr())


def _n(*sizes):
    return [ctypes.c_long(s) for s in sizes]


class ModelNew(nn.Module):
    def forward(self, q, k, v):
        y = torch.empty_like(q)
        _library.run(_at(q), _at(k), _at(v), _at(y), *_n(q.shape[0] * q.shape[1], q.shape[2], q.shape[3]))
        return y
