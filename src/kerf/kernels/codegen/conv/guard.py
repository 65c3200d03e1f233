"""Two kernels for one convolution: minimal filtering for calm inputs, the direct sum for all others.

The transforms of minimal filtering mix the elements of a tile. One that is far larger than its neighbours, or not finite, reaches outputs
whose taps never touch it: a NaN spreads, and where an output's own addends are small nothing is left but rounding. A look at every input,
which the convolution reads anyway, tells: where the largest exceeds `CALM` times the mean of the magnitudes, or is not a number, the
whole call is summed directly. Normal, uniform and rectified values are calm; the price of a restless input is time.
"""

from __future__ import annotations

from dataclasses import replace

from kerf.kernels.codegen.conv.epilogue import pointer, signature
from kerf.kernels.codegen.conv.weights import packs_once
from kerf.kernels.codegen.expr import CTYPE, loaded
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.ir import Conv, Group

# The largest magnitude of a calm input, in means.
CALM = 40
# Elements a thread looks at before it adds up in double precision.
_CHUNK = 4096


def joined(group: Group, fast: Emitted, safe: Emitted, kind: str, symbol: str) -> Emitted:
    """`fast` where the input is calm, else `safe`; both kernels of `group`, their symbols SYMBOL_fast and SYMBOL_safe."""
    once = packs_once(group)
    code = [_calm_code(group, symbol), fast.code, safe.code]
    packed = fast.packed
    if once:
        code.append(_pack_code(symbol, kind, fast.packed[0].bytes))
        size = _lines(fast.packed[0].bytes) + safe.packed[0].bytes
        packed = (replace(fast.packed[0], symbol=f"{symbol}_pack", bytes=size),)
    code.append(_kernel_code(group, symbol, kind, once, _lines(fast.packed[0].bytes) if once else 0))
    return replace(
        fast, code="\n".join(code), symbol=symbol, packed=packed, scratch_bytes=max(fast.scratch_bytes, safe.scratch_bytes)
    )  # fmt: skip


def _lines(size: int) -> int:
    return -(-size // 64) * 64


def _calm_code(group: Group, symbol: str) -> str:
    conv = group.ops[0]
    assert isinstance(conv, Conv)
    x = group.buffer(conv.x)
    kind = "double" if x.dtype.compute.bytes == 8 else "float"
    absolute = "__builtin_fabs" if kind == "double" else "__builtin_fabsf"
    return f"""/* Whether no input is far larger than most, and all are finite. */
static int {symbol}_calm(const {CTYPE[x.dtype]} *restrict x, int threads)
{{
    double total = 0, most = 0;
    (void)threads;
    #pragma omp parallel for num_threads(threads) reduction(+:total) reduction(max:most)
    for (long from = 0; from < {x.size}; from += {_CHUNK}) {{
        const long count = {x.size} - from < {_CHUNK} ? {x.size} - from : {_CHUNK};
        {kind} sum[64] = {{0}}, top[64] = {{0}};
        long i = 0;
        for (; i + 64 <= count; i += 64)
            for (int j = 0; j < 64; j++) {{
                const {kind} size = {absolute}({loaded("x[from + i + j]", x.dtype)});
                sum[j] += size;
                top[j] = size > top[j] ? size : top[j];
            }}
        for (; i < count; i++) {{
            const {kind} size = {absolute}({loaded("x[from + i]", x.dtype)});
            sum[0] += size;
            top[0] = size > top[0] ? size : top[0];
        }}
        for (int j = 0; j < 64; j++) {{
            total += sum[j];
            most = top[j] > most ? top[j] : most;
        }}
    }}
    return total < __builtin_inf() && most * {x.size} <= {CALM} * total;
}}
"""


def _pack_code(symbol: str, kind: str, first: int) -> str:
    return f"""/* The weights for both kernels, one after the other. */
static void {symbol}_pack(const void *const *sources, void *packed)
{{
    {symbol}_fast_pack(sources, packed);
    {symbol}_safe_pack(sources, (char *)packed + {_lines(first)});
}}
"""


def _kernel_code(group: Group, symbol: str, kind: str, once: bool, offset: int) -> str:
    conv = group.ops[0]
    assert isinstance(conv, Conv)
    names = [pointer(b.name) for b in (*group.inputs, *group.outputs)]
    weight = pointer(conv.weight)
    moved = f"(const {kind} *)((const char *){weight} + {offset}L)" if once else weight
    safe = [moved if n == weight else n for n in names]
    return f"""static void {symbol}({signature(group, kind, once)}, char *restrict scratch, int threads)
{{
    if ({symbol}_calm({pointer(conv.x)}, threads)) {symbol}_fast({", ".join(names)}, scratch, threads);
    else {symbol}_safe({", ".join(safe)}, scratch, threads);
}}
"""
