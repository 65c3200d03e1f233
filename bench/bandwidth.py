"""Bandwidth-bound kernels against a probe that does nothing but the same reads and writes, interleaved.

    python bench/bandwidth.py [--only norm] [--pairs 15]

The probe reads every byte of the inputs once and writes every byte of the outputs once, with plain or streaming stores, whichever is
faster. `share` is the probe's median time over the kernel's. One thread, CPU time, order alternating. The kernel is the
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
/* Read `n` vectors of each of `inputs`, write `m` vectors of `out`; spread so that both end together. */
void probe(const v16 **inputs, const long *n, int count, v16 *out, long m, int stream) {
    v16 s[4] = {{0}, {0}, {0}, {0}};
    long total = 0, done = 0, written = 0;
    for (int k = 0; k < count; k++) total += n[k];
    for (int k = 0; k < count; k++) {
        const v16 *p = inputs[k];
        for (long i = 0; i < n[k]; i += 64) {
            long e = i + 64 < n[k] ? i + 64 : n[k], j = i;
            for (; j + 4 <= e; j += 4) for (int q = 0; q < 4; q++) s[q] += p[j + q];
            for (; j < e; j++) s[0] += p[j];
            done += e - i;
            long until = (long)((double)m * done / total);
            if (stream) for (; written < until; written++) STREAM(out + written, s[written & 3]);
            else for (; written < until; written++) out[written] = s[written & 3];
        }
    }
    if (stream) FENCE();
    for (; written < m; written++) out[written] = s[0];
    if (!m) *(volatile float *)out = s[0][0] + s[1][0] + s[2][0] + s[3][0];
}
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
    times: dict[str, list[float]] = {"kernel": [], "plain": [], "stream": []}
    calls: dict[str, Callable[[], object]] = {
        "kernel": lambda: run(*inputs, out),
        "plain": probe(inputs, out[0], 0),
        "stream": probe(inputs, out[0], 1),
    }
    for i in range(pairs + 1):
        for name in list(calls)[:: 1 if i % 2 else -1]:
            start = time.process_time()
            calls[name]()
            times[name].append(time.process_time() - start)
    median = {k: statistics.median(v[1:]) for k, v in times.items()}
    best = min(median["plain"], median["stream"])
    return {"kernel_ms": median["kernel"] * 1e3, "probe_ms": best * 1e3, "share": best / median["kernel"]}


def kernel(problem: object) -> Callable[..., object]:
    """run(*inputs, out) of the default candidate."""
    build = builder(problem, 1)  # type: ignore[arg-type]
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


def probe(inputs: list[torch.Tensor], out: torch.Tensor, stream: int) -> Callable[[], object]:
    chip = native()
    build = compile_library(PROBE, native_flags(chip.machine, chip.vector_bits))
    assert build.library, build.log
    library = ctypes.CDLL(str(build.library))
    pointers = (ctypes.c_void_p * len(inputs))(*(t.data_ptr() for t in inputs))
    sizes = (ctypes.c_long * len(inputs))(*(t.numel() * t.element_size() // 64 for t in inputs))
    count = out.numel() * out.element_size() // 64
    args = (pointers, sizes, len(inputs), ctypes.c_void_p(out.data_ptr()), ctypes.c_long(count), stream)
    return lambda: library.probe(*args)


if __name__ == "__main__":
    main()
