"""GCC and clang vector extensions as C text: types, and shuffles both compilers accept."""

from __future__ import annotations

from collections.abc import Sequence

BYTES = {
    "float": 4,
    "double": 8,
    "int64_t": 8,
    "int32_t": 4,
    "int16_t": 2,
    "int8_t": 1,
    "uint8_t": 1,
    "uint16_t": 2,
}
MASK = {8: "int64_t", 4: "int32_t", 2: "int16_t", 1: "int8_t"}


def vector_types(symbol: str, element: str, lanes: int) -> str:
    """`SYMBOL_v`: `lanes` elements, loadable from any element's address; `SYMBOL_mask`: lane numbers for shuffles."""
    size = BYTES[element]
    mask = MASK[size]
    return (
        f"typedef {element} {symbol}_v __attribute__((vector_size({lanes * size}), aligned({size}), may_alias));\n"
        f"typedef {mask} {symbol}_mask __attribute__((vector_size({lanes * size})));\n{SHUFFLE}"
    )


SHUFFLE = """#ifndef KF_SHUFFLE
#ifdef __clang__
#define KF_SHUFFLE(a, b, mask, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define KF_SHUFFLE(a, b, mask, ...) __builtin_shuffle(a, b, (mask){__VA_ARGS__})
#endif
#endif
"""


def shuffle(a: str, b: str, lanes: Sequence[int], mask: str) -> str:
    """C of the vector whose lane i is lane `lanes[i]` of (a, b)."""
    return f"KF_SHUFFLE({a}, {b}, {mask}, {', '.join(map(str, lanes))})"


def tile_function(symbol: str, rows: int, vectors: int, lanes: int) -> str:
    """`SYMBOL_tile{rows}x{vectors}`: c (rows x vectors*lanes) = [c +] a (rows x k, each value broadcast) times b (k x
    vectors*lanes): the register tile of a matrix product, all accumulators in vector registers. Never inlined: a caller's
    own constants (an exponential's, say) would take registers from the sums, and the compiler reads b again for each row."""
    v, name = f"{symbol}_v", f"{symbol}_tile{rows}x{vectors}"
    cells = [(r, c) for r in range(rows) for c in range(vectors)]
    lines = [f"static __attribute__((noinline)) void {name}(long k, const float *restrict a, long lda,",
             "        const float *restrict b, long ldb, float *restrict c, long ldc, int add) {"]  # fmt: skip
    lines += [f"    {v} " + ", ".join(f"s{r}_{c} = {{0}}" for c in range(vectors)) + ";" for r in range(rows)]
    lines.append("    if (add) {")
    lines += [f"        s{r}_{c} = *(const {v} *)(c + {r} * ldc + {c * lanes});" for r, c in cells]
    lines += ["    }", "    for (long p = 0; p < k; p++, b += ldb) {"]
    lines += [f"        const {v} b{c} = *(const {v} *)(b + {c * lanes});" for c in range(vectors)]
    for r in range(rows):
        lines.append(f"        const float a{r} = a[{r} * lda + p];")
        lines += [f"        s{r}_{c} += a{r} * b{c};" for c in range(vectors)]
    lines.append("    }")
    lines += [f"    *({v} *)(c + {r} * ldc + {c * lanes}) = s{r}_{c};" for r, c in cells]
    return "\n".join([*lines, "}", ""])


def transpose_function(symbol: str, lanes: int) -> str:
    """`SYMBOL_turn`: a lanes x lanes block of float32, transposed by log2(lanes) rounds of two-vector shuffles."""
    v, mask = f"{symbol}_v", f"{symbol}_mask"
    lines = [
        f"static inline void {symbol}_turn(const float *restrict a, long lda, float *restrict b, long ldb) {{"
    ]
    lines += [f"    {v} r{i} = *(const {v} *)(a + {i} * lda);" for i in range(lanes)]
    d = 1
    while d < lanes:
        low = [l if not l & d else lanes + (l ^ d) for l in range(lanes)]  # noqa: E741
        high = [l | d if not l & d else lanes + l for l in range(lanes)]  # noqa: E741
        for i in (i for i in range(lanes) if not i & d):
            a, b = f"r{i}", f"r{i | d}"
            lines.append(
                f"    {{ const {v} t = {shuffle(a, b, low, mask)}; {b} = {shuffle(a, b, high, mask)}; {a} = t; }}"
            )
        d *= 2
    lines += [f"    *({v} *)(b + {i} * ldb) = r{i};" for i in range(lanes)]
    return "\n".join([*lines, "}", ""])


def register_tiles(lanes_registers: int, widest: int = 4) -> tuple[str, ...]:
    """Legal "rows x vectors" register tiles for a number of vector registers, the best balanced first: accumulators, one
    row of b and one broadcast value must fit."""
    tiles = [
        (r, c)
        for c in range(1, widest + 1)
        for r in range(1, 15)
        if r * c + c + 1 <= lanes_registers and r * c >= lanes_registers // 3
    ]
    tiles.sort(key=lambda t: (1 / t[0] + 1 / t[1], -t[0] * t[1]))
    return tuple(f"{r}x{c}" for r, c in tiles[:6])
