"""Does a profile's advice hold? Each row is a small kernel before and after the change that `kerf profile` advises.

    python bench/profile_advice.py [--only spill] [--pairs 15] [--out FILE.json]

The advice must be given for the first and not for the second, and both must compute the same; then they are timed in turns in one process, on
one thread, by its CPU time. A row tells the median of the pairs' ratios with its quartiles. Exit status 1 where an advice is missing, or is still
given after it was taken; a change that gains nothing is no failure and stands in the table.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kerf.core.types import Candidate
from kerf.kernels.problem import KernelProblem, load_text
from kerf.kernels.profile import profile_candidate
from kerf.kernels.referee.candidate import package
from kerf.kernels.targets.cpu import native
from kerf.toolchain.compilers import compile_library

CHIP = native()
LANES = CHIP.lanes
FEW, MANY = (8, 12) if CHIP.registers == 32 else (4, 6)
"""Rows of a register tile that fits, and of one that does not; their columns are 3 and 4 vectors."""
SIDE = 192
TURN_S = 0.01
"""A turn repeats a kernel for about so long."""

PROBLEM = """
import torch
from torch import nn
class Model(nn.Module):
    def forward(self, {names}):
        return {result}
def get_inputs():
    return [{inputs}]
def get_init_inputs():
    return []
"""
CANDIDATE = '''
import ctypes
from pathlib import Path
import torch
from torch import nn
C_SOURCE = r"""
#include <math.h>
#include <string.h>
typedef float v __attribute__((vector_size({bytes}), aligned(4)));
#define LANES {lanes}
{code}
"""
library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))
class ModelNew(nn.Module):
    def forward(self, *given):
        out = torch.empty({shape})
        library.run(*(ctypes.c_void_p(t.data_ptr()) for t in (*given, out)), *(ctypes.c_long(s) for s in given[0].shape))
        return out
'''
EXP = """
static inline float e(float x) { /* 2**n * 2**f, a polynomial for the fraction */
    float t = x * 1.44269504f, n = rintf(t < -126 ? -126 : t), f = t - n;
    float p = 1.8775767e-3f;
    p = p * f + 8.9893397e-3f, p = p * f + 5.5826318e-2f, p = p * f + 2.4015361e-1f, p = p * f + 6.9315308e-1f, p = p * f + 9.9999994e-1f;
    int bits = ((int)n + 127) << 23;
    float power;
    memcpy(&power, &bits, 4);
    return p * power;
}
"""
SOFTMAX = """
{exp}
void run(const float *restrict x, float *restrict y) {{
    for (int i = 0; i < 256; i++) {{
        const float *a = x + i * 256;
        float *b = y + i * 256, most[16], sum[16] = {{0}}, m = a[0], s = 0;
        memcpy(most, a, sizeof most);
        for (int j = 16; j < 256; j += 16) for (int l = 0; l < 16; l++) most[l] = a[j + l] > most[l] ? a[j + l] : most[l];
        for (int l = 0; l < 16; l++) m = most[l] > m ? most[l] : m;
        for (int j = 0; j < 256; j++) b[j] = {call}(a[j] - m);
        for (int j = 0; j < 256; j += 16) for (int l = 0; l < 16; l++) sum[l] += b[j + l];
        for (int l = 0; l < 16; l++) s += sum[l];
        float r = 1 / s;
        for (int j = 0; j < 256; j++) b[j] *= r;
    }}
}}
"""


def tile(rows: int, columns: int) -> str:
    """A product of SIDE x SIDE matrices in register tiles of so many rows and vectors, written out."""
    ids = [(r, c) for r in range(rows) for c in range(columns)]
    zero = " ".join(f"v c{r}_{c} = {{0}};" for r, c in ids)
    loads = " ".join(f"v b{c} = *(const v *)(b + k * N + j + {c} * LANES);" for c in range(columns))
    adds = " ".join(f"c{r}_{c} += a[(i + {r}) * N + k] * b{c};" for r, c in ids)
    stores = " ".join(f"*(v *)(y + (i + {r}) * N + j + {c} * LANES) = c{r}_{c};" for r, c in ids)
    return f"""
#define N {SIDE}
void run(const float *restrict a, const float *restrict b, float *restrict y) {{
    for (int i = 0; i < N; i += {rows}) for (int j = 0; j < N; j += {columns} * LANES) {{
        {zero}
        for (int k = 0; k < N; k++) {{ {loads} {adds} }}
        {stores}
    }}
}}"""


def looped(head: str, body: str) -> str:
    return f"void run({head}) {{\n    {body}\n}}"


SIZES = ", long m, long n"  # known when it runs: a compiler that knows them exchanges loops itself
MAP = f"const float *restrict x, float *restrict y{SIZES}"
PRODUCT = f"const float *restrict a, const float *restrict b, float *restrict y{SIZES}"
SCALED = f"const float *restrict x, const float *restrict z, float *restrict y{SIZES}"
POLYNOMIAL = "t * (t * (t * (t * (t * (t * (t * (t * 0.11f + 0.12f) + 0.13f) + 0.14f) + 0.15f) + 0.16f) + 0.17f) + 0.18f) + 0.19f"


@dataclass(frozen=True)
class Case:
    """`advice`: a regular expression that a finding on `before` matches, and none on `after`. `inputs`, `result`: PyTorch expressions."""

    name: str
    change: str
    advice: str
    inputs: Sequence[str]
    result: str
    shape: Sequence[int]
    before: str
    after: str

    def problem(self) -> KernelProblem:
        names = ["x", "z"][: len(self.inputs)]
        text = PROBLEM.format(names=", ".join(names), result=self.result, inputs=", ".join(self.inputs))
        return load_text(text, name=self.name)

    def candidate(self, code: str) -> Candidate:
        lines = CANDIDATE.format(bytes=4 * LANES, lanes=LANES, code=code, shape=tuple(self.shape))
        return Candidate({"kernel.py": lines})


SQUARE = (f"torch.rand({SIDE}, {SIDE})",) * 2
ROWS, DOWN = "for (long i = 0; i < m; i++)", "for (long j = 0; j < n; j++)"
CASES = (
    Case("stride", "loops exchanged", r"uses 4 of the 64 bytes of each line", SQUARE, "x @ z", (SIDE, SIDE),
         looped(PRODUCT, f"{ROWS} {DOWN} {{ float s = 0; for (long k = 0; k < n; k++) s += a[i * n + k] * b[k * n + j]; y[i * n + j] = s; }}"),
         looped(PRODUCT, f"memset(y, 0, 4 * n * n); {ROWS} for (long k = 0; k < n; k++) {DOWN} y[i * n + j] += a[i * n + k] * b[k * n + j];")),
    Case("columns", "loops exchanged", r"uses 4 of the 64 bytes of each line", ("torch.rand(1024, 1024)",), "2 * x + 1", (1024, 1024),
         looped(MAP, f"{DOWN} {ROWS} y[i * n + j] = 2 * x[i * n + j] + 1;"),
         looped(MAP, f"{ROWS} {DOWN} y[i * n + j] = 2 * x[i * n + j] + 1;")),
    Case("chain", f"tile of {FEW} x 3 vectors", r"each iteration waits \d+ cycles .* independent accumulators", SQUARE, "x @ z", (SIDE, SIDE), tile(1, 1), tile(FEW, 3)),
    Case("spill", f"tile of {FEW} x 3 vectors", r"load or store the stack: .* a smaller tile", SQUARE, "x @ z", (SIDE, SIDE), tile(MANY, 4), tile(FEW, 3)),
    Case("sum", "four vector accumulators", r"added one after the other", ("torch.rand(256, 1024)",), "x.sum(1)", (256,),
         looped(MAP, f"{ROWS} {{ float s = 0; {DOWN} s += x[i * n + j]; y[i] = s; }}"),
         looped(MAP, f"{ROWS} {{ v s[4] = {{{{0}}}}; float t = 0; for (long j = 0; j < n; j += 4 * LANES) for (int u = 0; u < 4; u++) s[u] += *(const v *)(x + i * n + j + u * LANES);"
                     " s[0] += s[1] + s[2] + s[3]; for (int l = 0; l < LANES; l++) t += s[0][l]; y[i] = t; }")),
    Case("call", "exp as arithmetic", r"(?:calls .*expf|the math library).* (?:for every|one) element", ("torch.randn(256, 256)",), "torch.softmax(x, 1)", (256, 256),
         SOFTMAX.format(exp="", call="expf"), SOFTMAX.format(exp=EXP, call="e")),
    Case("running", "eight rows at once", r"each iteration waits \d+ cycles", ("torch.rand(512, 512)",), "x.cumsum(1)", (512, 512),
         looped(MAP, f"{ROWS} {{ float s = 0; {DOWN} y[i * n + j] = s += x[i * n + j]; }}"),
         looped(MAP, f"for (long i = 0; i < m; i += 8) {{ float s[8] = {{0}}; {DOWN} for (int u = 0; u < 8; u++) y[(i + u) * n + j] = s[u] += x[(i + u) * n + j]; }}")),
    Case("width", "vectors as wide as the chip's", r"its vectors have 128 bits of the chip's", ("torch.rand(128, 128)",), POLYNOMIAL.replace("t", "x").replace("f", ""), (128, 128),
         "typedef float w __attribute__((vector_size(16), aligned(4)));\n" + looped(MAP, f"for (long i = 0; i < m * n; i += 4) {{ w t = *(const w *)(x + i); *(w *)(y + i) = {POLYNOMIAL}; }}"),
         looped(MAP, f"for (long i = 0; i < m * n; i += LANES) {{ v t = *(const v *)(x + i); *(v *)(y + i) = {POLYNOMIAL}; }}")),
    Case("divide", "one division a row", r"the divider is full", ("torch.rand(32, 256)", "torch.rand(32) + 1"), "x / z[:, None]", (32, 256),
         looped(SCALED, f"{ROWS} {DOWN} y[i * n + j] = x[i * n + j] / z[i];"),
         looped(SCALED, f"{ROWS} {{ float r = 1 / z[i]; {DOWN} y[i * n + j] = x[i * n + j] * r; }}")),
)  # fmt: skip


def built(case: Case, code: str, folder: Path) -> Callable[[], None]:
    """One call of the C function, built as the referee builds it; AssertionError where it does not compute what it should."""
    [unit] = package(case.candidate(code).files).units
    made = compile_library(unit.text, [*unit.flags])
    assert made.library is not None, made.log
    shutil.copy(made.library, folder)
    run = ctypes.CDLL(str(folder / Path(made.library).name)).run
    problem = case.problem()
    given, out = problem.inputs(), torch.empty(*case.shape)
    sizes = [ctypes.c_long(s) for s in given[0].shape]
    arguments = [*(ctypes.c_void_p(t.data_ptr()) for t in (*given, out)), *sizes]

    def call(keep: Sequence[torch.Tensor] = (*given, out)) -> None:
        run(*arguments)

    call()
    torch.testing.assert_close(out, problem.fresh_module()(*given), rtol=2e-4, atol=2e-5)
    return call


def ratios(before: Callable[[], None], after: Callable[[], None], pairs: int) -> list[float]:
    """CPU time of the first over the second's, in turns; which one begins alternates."""
    times = [_repeats(f) for f in (before, after)]
    found = []
    for n in range(pairs):
        pair = [(before, times[0]), (after, times[1])]
        took = {f: _seconds(f, k) for f, k in (pair if n % 2 else pair[::-1])}
        found.append(took[before] / took[after])
    return found


def _repeats(call: Callable[[], None]) -> int:
    call()
    return max(1, round(TURN_S / max(_seconds(call, 3), 1e-7)))


def _seconds(call: Callable[[], None], repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) / repeats


def measured(case: Case, pairs: int) -> dict[str, Any]:
    """One row: what was advised before and after, and the ratio."""
    problem = case.problem()
    advised = [
        [t for t in profile_candidate(problem, case.candidate(code)).findings if re.search(case.advice, t)]
        for code in (case.before, case.after)
    ]
    with tempfile.TemporaryDirectory() as folder:
        quick = ratios(*(built(case, code, Path(folder)) for code in (case.before, case.after)), pairs)
    low, middle, high = statistics.quantiles(quick, n=4)
    return {"name": case.name, "change": case.change, "before": advised[0], "after": advised[1],
            "ratio": {"median": middle, "low": low, "high": high, "pairs": pairs}}  # fmt: skip


def main() -> None:
    if os.environ.get("OMP_NUM_THREADS") != "1":  # read when the process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "OMP_NUM_THREADS": "1"})
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", default=[c.name for c in CASES])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    rows = []
    for case in CASES:
        if case.name in args.only:
            rows.append(row := measured(case, args.pairs))
            r = row["ratio"]
            said = f"{'given' if row['before'] else 'MISSING'}, then {'STILL GIVEN' if row['after'] else 'no longer'}"
            print(f"{case.name:<8} {case.change:<30} {said:<24} {r['median']:6.2f}x [{r['low']:.2f}, {r['high']:.2f}]", flush=True)  # fmt: skip
    if args.out:
        args.out.write_text(json.dumps({"chip": CHIP.name, "rows": rows}, indent=1))
    sys.exit(any(not row["before"] or row["after"] for row in rows))


if __name__ == "__main__":
    main()
