"""Bandwidth-bound kernels against a probe that does nothing but the same reads and writes, interleaved.

    python bench/bandwidth.py [--only norm] [--pairs 15]

The probe reads every byte of the inputs once and writes every byte of the outputs once, with plain or streaming stores, in whole or
half cache lines, with and without software prefetch, whichever is fastest. `share` is the probe's median time over the kernel's. Where the
first result needs all of an input that no core's cache holds, the probe reads it twice as well. Each timed call follows one of its own.

Some of these kernels compute longer than memory takes. `arithmetic_ms` is the same kernel (with plain stores) where every page of its
tensors is one of the same few in physical memory, so that all of them stay in the second-level cache; `bound` names the larger of the
two, and `of_bound` is it over the kernel's time. One thread, CPU time, order alternating. The kernel is the generator's default schedule,
not a searched one.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import mmap
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from kerf.core import temporary
from kerf.kernels.build import builder
from kerf.kernels.problem import load_problem
from kerf.kernels.targets.cpu import native
from kerf.toolchain.compilers import compile_library, native_flags

HERE = Path(__file__).resolve().parent
FAMILIES = (
    "elementwise",
    "loss",
    "norm",
    "pool_scan",
    "reduction",
    "gemm/matvec",
    "gemm/diagonal",
    "gemm/outer",
)
TWICE = ("norm/frobenius",)  # a norm of everything, then everything over it
PROBES = tuple(
    (f"{store}{' halves' * half}{' ahead' * (ahead > 0)}", "probe_halves" if half else "probe", stream, ahead)
    for stream, store in enumerate(("plain", "stream"))
    for half in (0, 1)
    for ahead in (0, 4096)  # bytes
)
RESIDENT = 1 << 16  # bytes of each tensor that exist where arithmetic alone is timed
MAP_FIXED = 0x10
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
SETTINGS = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "9000000000", "OMP_NUM_THREADS": "1"}
PROBE = r"""
#include <stdint.h>
#include <stddef.h>
typedef float v16 __attribute__((vector_size(64), aligned(4)));
#if defined(__AVX512F__)
#include <immintrin.h>
#define STREAM(p, v) _mm512_stream_ps((float *)(p), (__m512)(v))
#define FENCE() _mm_sfence()
#else
#define STREAM(p, v) (*(p) = (v))
#define FENCE()
#endif
typedef float v8 __attribute__((vector_size(32), aligned(4)));
volatile float sink;
/* Read `n` lines of each of `inputs`, write `m` lines of `out`; spread so that both end together. `V`: what is read at once, since
   some processors read memory faster in half lines. */
#define PROBE(name, V)                                                                                    \
void name(const v16 **inputs, const long *n, int count, v16 *out, long m, int stream, long ahead) {       \
    V s[4] = {{0}, {0}, {0}, {0}};                                                                        \
    v16 w = {0};                                                                                          \
    const long parts = 64 / sizeof(V);                                                                    \
    long total = 0, done = 0, written = 0;                                                                \
    for (int k = 0; k < count; k++) total += n[k];                                                        \
    for (int k = 0; k < count; k++)                                                                       \
        for (long i = 0; i < n[k]; i += 64) {                                                             \
            const V *p = (const V *)inputs[k];                                                            \
            long e = i + 64 < n[k] ? i + 64 : n[k], j = i * parts;                                        \
            for (; j + 4 <= e * parts; j += 4) {                                                          \
                if (ahead) for (int q = 0; q < 4; q += parts)                                             \
                    __builtin_prefetch((const char *)(p + j + q) + ahead, 0, 2);                          \
                for (int q = 0; q < 4; q++) s[q] += p[j + q];                                             \
            }                                                                                             \
            for (; j < e * parts; j++) s[0] += p[j];                                                      \
            done += e - i;                                                                                \
            long until = (long)((double)m * done / total);                                                \
            if (stream) for (; written < until; written++) STREAM(out + written, w);                      \
            else for (; written < until; written++) out[written] = w;                                     \
        }                                                                                                 \
    if (stream) FENCE();                                                                                  \
    for (; written < m; written++) out[written] = w;                                                      \
    sink = s[0][0] + s[1][0] + s[2][0] + s[3][0];                                                         \
}
PROBE(probe, v16)
PROBE(probe_halves, v8)
"""


def main() -> None:
    if any(os.environ.get(k) != v for k, v in SETTINGS.items()):  # they are read when the process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **SETTINGS})
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", default=FAMILIES)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "bandwidth.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    for path in sorted(HERE.glob("problems/*/*.py")):
        name = f"{path.parent.name}/{path.stem}"
        if any(o in name for o in args.only):
            rows[name] = one(path, args.pairs)
            print(line(name, rows[name]), flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    found = {"command": "python bench/bandwidth.py", "processor": native().name, "problems": rows}
    args.out.write_text(json.dumps(found, indent=1))
    for what, key in (("the probe", "share"), ("the bound", "of_bound")):
        shares = [r[key] for r in rows.values()]
        many = sum(s >= 0.9 for s in shares)
        print(f"of {what}: median {statistics.median(shares):.0%}; {many} of {len(shares)} at 90 % or more")


def line(name: str, row: dict[str, Any]) -> str:
    return (
        f"{name:<36} {row['kernel_ms']:8.2f} ms  probe {row['probe_ms']:7.2f} ({row['probe']})  arithmetic {row['arithmetic_ms']:7.2f}"
        f"  share {row['share']:.0%}  of {row['bound']} {row['of_bound']:.0%}"
    )


def one(path: Path, pairs: int) -> dict[str, Any]:
    problem = load_problem(path)
    inputs = [t for t in problem.inputs() if isinstance(t, torch.Tensor)]
    with torch.no_grad():
        result = problem.fresh_module()(*inputs)
    out = (torch.empty_like(result),)
    run, plain = kernel(problem), kernel(problem, stream=False)
    near, near_out = [resident(t) for t in inputs], (resident(out[0]),)
    calls: dict[str, Callable[[], object]] = {
        "kernel": lambda: run(*inputs, out),
        "arithmetic": lambda: plain(*near, near_out),
    }
    for name, *how in PROBES:
        calls[name] = probe(inputs * (2 if f"{path.parent.name}/{path.stem}" in TWICE else 1), out[0], *how)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(pairs + 1):
        for name in list(calls)[:: 1 if i % 2 else -1]:
            calls[name]()  # so that memory is as this one leaves it: stores may reach it during the next call
            start = time.process_time()
            calls[name]()
            times[name].append(time.process_time() - start)
    median = {k: statistics.median(v[1:]) for k, v in times.items()}
    fastest = min((name for name, *_ in PROBES), key=lambda name: median[name])
    whole, moved, computed = median["kernel"], median[fastest], median["arithmetic"]
    return {
        "kernel_ms": whole * 1e3,
        "probe_ms": moved * 1e3,
        "probe": fastest,
        "arithmetic_ms": computed * 1e3,
        "share": moved / whole,
        "bound": "memory" if moved >= computed else "arithmetic",
        "of_bound": max(moved, computed) / whole,
    }


def kernel(problem: object, threads: int = 1, stream: bool = True) -> Callable[..., object]:
    """run(*inputs, out) of the default candidate; without `stream`, all of its stores go through the caches."""
    build = builder(problem, threads)  # type: ignore[arg-type]
    point = build.space.default()
    if not stream:
        point = {**point, **{k: False for k in point if k.endswith(".stream")}}
    files = build.files(point)
    with temporary.folder("kernel") as name:
        for file, text in files.items():
            (Path(name) / file).write_text(text)
        spec = importlib.util.spec_from_file_location(f"kernel_{Path(name).name}", Path(name) / "kernel.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    new = module.ModelNew()
    new.load_state_dict(problem.module.state_dict())  # type: ignore[attr-defined]
    return lambda *a: torch.no_grad()(new.run)(*a)


def resident(tensor: torch.Tensor) -> torch.Tensor:
    """The same shape and strides on addresses whose pages are all among the same RESIDENT bytes of memory, filled with its first ones."""
    size = -(-tensor.numel() * tensor.element_size() // RESIDENT) * RESIDENT
    file = os.memfd_create("resident")
    first = bytes(tensor.contiguous().view(-1).view(torch.uint8)[:RESIDENT].numpy())
    os.write(file, first.ljust(RESIDENT, b"\0"))
    whole = mmap.mmap(-1, size)
    view = torch.frombuffer(whole, dtype=torch.uint8)
    for at in range(0, size, RESIDENT):
        where = LIBC.mmap(
            view.data_ptr() + at,
            RESIDENT,
            mmap.PROT_READ | mmap.PROT_WRITE,
            mmap.MAP_SHARED | MAP_FIXED,
            file,
            0,
        )
        assert where == view.data_ptr() + at
    os.close(file)
    used = view[: tensor.numel() * tensor.element_size()].view(tensor.dtype)
    return (
        used.view(tensor.shape) if tensor.is_contiguous() else used.as_strided(tensor.shape, tensor.stride())
    )


def probe(
    inputs: list[torch.Tensor], out: torch.Tensor, symbol: str, stream: int, ahead: int
) -> Callable[[], object]:
    chip = native()
    build = compile_library(PROBE, native_flags(chip.machine, chip.vector_bits))
    assert build.library, build.log
    library = ctypes.CDLL(str(build.library))
    pointers = (ctypes.c_void_p * len(inputs))(*(t.data_ptr() for t in inputs))
    sizes = (ctypes.c_long * len(inputs))(*(t.numel() * t.element_size() // 64 for t in inputs))
    count = out.numel() * out.element_size() // 64
    args = (
        pointers,
        sizes,
        len(inputs),
        ctypes.c_void_p(out.data_ptr()),
        ctypes.c_long(count),
        stream,
        ctypes.c_long(ahead),
    )
    return lambda: library[symbol](*args)


if __name__ == "__main__":
    main()
