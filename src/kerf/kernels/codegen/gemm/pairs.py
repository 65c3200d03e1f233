"""Products of bfloat16 matrices by instructions that add two products at once (AVX512-BF16's VDPBF16PS): k runs in pairs, and two
neighbours along k lie in one 32-bit element of either operand's copy. Elsewhere the same pairs are taken apart again.

The products are exact in float32, as everywhere; the instruction flushes subnormal numbers to zero."""

from __future__ import annotations

from kerf.kernels.codegen.gemm.analysis import Operand, Problem, pointer
from kerf.kernels.ir import DType
from kerf.kernels.targets.cpu import Chip

DOT = """typedef uint32_t {s}_bits __attribute__((vector_size(64)));
typedef uint32_t {s}_pair __attribute__((may_alias));
/* Each lane: c plus the products of both halves of x and b. */
static inline __attribute__((always_inline)) {s}_v {s}_dot({s}_v c, uint32_t x, {s}_v b) {{
#ifdef __AVX512BF16__
    const {s}_bits p = x + ({s}_bits){{0}};
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(c) : "v"(p), "v"(b));
    return c;
#else
    const {s}_bits p = x + ({s}_bits){{0}}, q = ({s}_bits)b;
    return c + ({s}_v)(p << 16) * ({s}_v)(q << 16) + ({s}_v)(p & 0xffff0000u) * ({s}_v)(q & 0xffff0000u);
#endif
}}
"""


def possible(p: Problem, chip: Chip) -> bool:
    """Are both operands bfloat16 as they lie, and does the chip multiply their pairs?"""
    able = "avx512_bf16" in chip.features and chip.vector_bits == 512
    return able and p.acc is DType.F32 and p.k.extent > 1 and all(_stored(p, o) for o in (p.left, p.right))


def fast(chip: Chip) -> bool:
    """Where matrix registers do this work, VDPBF16PS takes four times as long as a float32 product's instruction."""
    return "amx_bf16" not in chip.features


def _stored(p: Problem, operand: Operand) -> bool:
    load = operand.load
    return (
        operand.expr is load and operand.form is not None and p.group.buffer(load.buffer).dtype is DType.BF16
    )


def element(p: Problem, operand: Operand) -> str:
    """C of the stored 16 bits at z, m or n, and k."""
    assert operand.load is not None and operand.form is not None
    return f"{pointer(operand.load.buffer)}[{p.place(operand.form)}]"


def runs_along_k(p: Problem, operand: Operand) -> bool:
    """Do pairs lie side by side in memory, none of them half beyond the end?"""
    assert operand.form is not None
    flats = [(flat, flat.stride(operand.form)) for flat in (p.z, operand.row)]
    even = all(step is not None and step % 2 == 0 for _, step in flats) and operand.form.offset % 2 == 0
    return operand.stride(p.k) == 1 and p.k.extent % 2 == 0 and even


def rows(p: Problem, symbol: str, block: int, mr: int, *, panels: bool) -> list[str]:
    """The body of the copy of A: rows of pairs, or micro-panels with the rows innermost."""
    bits = element(p, p.left)
    if panels:
        return [
            f"    for (long q = m0; q < m1; q += {mr}) {{",
            f"        const long rows = m1 - q < {mr} ? m1 - q : {mr};",
            f"        {symbol}_pair *restrict panel = ({symbol}_pair *)dst + (q - m0) * {block};",
            *_pairs("m", "q", "q + rows", f"panel[(k - k0) / 2 * {mr} + m - q]", bits),
            "    }",
        ]
    row = f"    for (long m = m0; m < m1; ++m) {{ {symbol}_pair *restrict row = ({symbol}_pair *)dst + (m - m0) * {block};"
    if runs_along_k(p, p.left):
        return [row, "        const long k = k0;", f"        memcpy(row, &{bits}, (k1 - k0) * 2); }}"]
    return [row, *_pairs("n", "0", "1", "row[(k - k0) / 2]", bits), "    }"]


def columns(p: Problem, symbol: str, head: list[str], nr: int) -> list[str]:
    """The body of the copy of B where memory does not run along k in whole pairs. `head` declares width, wide and panel."""
    return [
        f"    for (long q = n0; q < n1; q += {nr}) {{",
        *head,
        f"        {symbol}_pair *restrict to = ({symbol}_pair *)panel;",
        *_pairs("n", "q", "q + width", "to[(k - k0) / 2 * wide + n - q]", element(p, p.right)),
        "        for (long k = 0; k < (k1 - k0 + 1) / 2; ++k)",
        "            for (long j = width; j < wide; ++j) to[k * wide + j] = 0;",
        "    }",
    ]


def _pairs(var: str, low: str, high: str, target: str, bits: str) -> list[str]:
    """Loops over pairs of k and over `var`; half a pair at an odd end."""
    each = f"for (long {var} = {low}; {var} < {high}; ++{var}) {{"
    second = f"uint32_t second; {{ const long k_ = k + 1; {{ const long k = k_; second = {bits}; }} }}"
    return [
        "        for (long k = k0; k < k1; k += 2) {",
        f"            if (k + 1 < k1) {each} (void){var}; const uint32_t first = {bits}; {second} {target} = first | second << 16; }}",
        f"            else {each} (void){var}; {target} = {bits}; }}",
        "        }",
    ]
