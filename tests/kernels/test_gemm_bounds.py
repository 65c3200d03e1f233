"""No kernel reads past the end of an input: each input ends where an unreadable page begins."""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, mmap, sys
import torch
sys.path.insert(0, {folder!r})
from test_gemm import TEMPLATE, TORCH_DTYPE, draw, expect, matmul, standalone
from kerf.kernels.ir import DType

def fenced(t):
    size = -(-t.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, size + mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(start + size), mmap.PAGESIZE, 0) == 0
    raw = torch.frombuffer(memory, dtype=torch.uint8, count=size)
    kept.append(memory)
    return raw[size - t.nbytes :].view(t.dtype).view(t.shape).copy_(t)

kept = []
for ta, tb in ((0, 0), (1, 0), (0, 1), (1, 1)):
    group = matmul(*{shape}, ta=bool(ta), tb=bool(tb), epilogue="bias")
    inputs = [fenced(t) for t in draw(group)]
    choices = [dict(pack_a=a, pack_b=b) for a in (True, False) for b in (True, False)]
    for chosen in choices + [dict(algorithm="dot"), dict(algorithm="axpy")]:
        got = standalone(group, chosen, template=TEMPLATE).call(inputs)[0]
        torch.testing.assert_close(got.double(), expect(group, inputs, ta, tb, "bias"), rtol=1e-4, atol=1e-4)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mprotect"), reason="needs mprotect")
@pytest.mark.parametrize("shape", [(13, 37, 29), (5, 16, 8)], ids=str)
def test_inputs_end_at_an_unreadable_page(shape: tuple[int, int, int]) -> None:
    assert mmap.PAGESIZE
    program = PROGRAM.format(folder=str(__file__).rpartition("/")[0], shape=shape)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr[-2000:]}"
