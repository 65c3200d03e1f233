"""The contraction as plain loops: integers, and results too small for anything else to pay."""

from __future__ import annotations

from kerf.kernels.codegen.expr import CTYPE
from kerf.kernels.codegen.gemm.analysis import Problem
from kerf.kernels.codegen.gemm.epilogue import Signature, element
from kerf.kernels.codegen.template import Emitted


def emit(p: Problem, threads: int, symbol: str) -> Emitted:
    sig, acc = Signature(p), CTYPE[p.acc]
    team = ["#pragma omp parallel for schedule(static) num_threads(threads)"] if threads > 1 else []
    rows = p.z.extent * p.m.extent
    code = [
        f"static void {symbol}({sig.parameters}, char *restrict scratch, int threads) {{",
        "    (void)scratch; (void)threads;",
        *team,
        f"    for (long row = 0; row < {rows}; ++row) {{",
        f"        const long z = row / {p.m.extent}, m = row % {p.m.extent}; (void)z; (void)m;",
        f"        for (long n = 0; n < {p.n.extent}; ++n) {{",
        f"            {acc} total = 0;",
        f"            for (long k = 0; k < {p.k.extent}; ++k)",
        f"                total += ({acc})({p.value(p.left)}) * ({acc})({p.value(p.right)});",
        *element(p, " " * 12, "total"),
        "        }",
        "    }",
        "}",
    ]
    return Emitted("\n".join(code) + "\n", symbol, flops=p.flops, bytes=p.bytes)
