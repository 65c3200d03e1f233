"""Bandwidth-bound kernels against a probe that does nothing but the same reads and writes, interleaved.

    python bench/bandwidth.py [--only norm] [--pairs 15]

The probe reads every byte of the inputs once and writes every byte of the outputs once, with plain or streaming stores, in whole or
half cache lines, whichever is fastest. `share` is the probe's median time over the kernel's. One thread, CPU time, order alternating. The kernel is the
generator's default schedule, not a searched one.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

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
PROBES = (
    ("plain", "probe", 0),
    ("stream", "probe", 1),
    ("plain halves", "probe_halves", 0),
    ("stream halves", "probe_halves", 1),
)
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
void name(const v16 **inputs, const long *n, int count, v16 *out, long m, int stream) {                   \
    V s[4] = {{0}, {0}, {0}, {0}};                                                                        \
    v16 w = {0};                                                                                          \
    const long parts = 64 / sizeof(V);                                                                    \
    long total = 0, done = 0, written = 0;                                                                \
    for (int k = 0; k < count; k++) total += n[k];                                                        \
    for (int k = 0; k < count; k++)                                                                       \
        for (long i = 0; i < n[k]; i += 64) {                                                             \
            const V *p = (const V *)inputs[k];                                                            \
            long e = i + 64 < n[k] ? i + 64 : n[k], j = i * parts;                                        \
            for (; j + 4 <= e * parts; j += 4) for (int q = 0; q < 4; q++) s[q] += p[j + q];              \
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
            print(
                f"{name:<36} {rows[name]['kernel_ms']:8.2f} ms  probe {rows[name]['probe_ms']:8.2f} ms  share {rows[name]['share']:.0%}",
                flush=True,
            )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"command": "python bench/bandwidth.py", "problems": rows}, indent=1))
    shares = [r["share"] for r in rows.values()]
    print(
        f"\nmedian share {statistics.median(shares):.0%}; {sum(s >= 0.9 for s in shares)} of {len(shares)} at 90 % or more"
    )


def one(path: Path, pairs: int) -> dict[str, float]:
    problem = load_problem(path)
    inputs = [t for t in problem.inputs() if isinstance(t, torch.Tensor)]
    with torch.no_grad():
        result = problem.fresh_module()(*inputs)
    out = (torch.empty_like(result),)
    run = kernel(problem)
    calls: dict[str, Callable[[], object]] = {"kernel": lambda: run(*inputs, out)}
    for name, symbol, stream in PROBES:
        calls[name] = probe(inputs, out[0], symbol, stream)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(pairs + 1):
        for name in list(calls)[:: 1 if i % 2 else -1]:
            start = time.process_time()
            calls[name]()
            times[name].append(time.process_time() - start)
    median = {k: statistics.median(v[1:]) for k, v in times.items()}
    best = min(median[name] for name, _, _ in PROBES)
    return {"kernel_ms": median["kernel"] * 1e3, "probe_ms": best * 1e3, "share": best / median["kernel"]}


def kernel(problem: object, threads: int = 1) -> Callable[..., object]:
    """run(*inputs, out) of the default candidate."""
    build = builder(problem, threads)  # type: ignore[arg-type]
    files = build.files(build.space.default())
    folder = Path(tempfile.mkdtemp())
    for name, text in files.items():
        (folder / name).write_text(text)
    spec = importlib.util.spec_from_file_location(f"kernel_{folder.name}", folder / "kernel.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    new = module.ModelNew()
    new.load_state_dict(problem.module.state_dict())  # type: ignore[attr-defined]
    return lambda *a: torch.no_grad()(new.run)(*a)


def probe(inputs: list[torch.Tensor], out: torch.Tensor, symbol: str, stream: int) -> Callable[[], object]:
    chip = native()
    build = compile_library(PROBE, native_flags(chip.machine, chip.vector_bits))
    assert build.library, build.log
    library = ctypes.CDLL(str(build.library))
    pointers = (ctypes.c_void_p * len(inputs))(*(t.data_ptr() for t in inputs))
    sizes = (ctypes.c_long * len(inputs))(*(t.numel() * t.element_size() // 64 for t in inputs))
    count = out.numel() * out.element_size() // 64
    args = (pointers, sizes, len(inputs), ctypes.c_void_p(out.data_ptr()), ctypes.c_long(count), stream)
    return lambda: library[symbol](*args)


if __name__ == "__main__":
    main()
