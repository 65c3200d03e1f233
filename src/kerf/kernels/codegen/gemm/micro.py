"""Register micro-kernels: an outer-product tile of rows x vectors held in registers while k runs (Goto and van de Geijn,
"Anatomy of High-Performance Matrix Multiplication", 2008; Van Zee and van de Geijn, "BLIS", 2015)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A register tile: `rows` x `vectors`; `a_row`, `a_k`, `b_k` are element steps known when the code is made, which turns
    all addressing into displacements. `ahead`: how many elements beyond its place b is fetched; 0 for never."""

    rows: int
    vectors: int
    a_row: int
    a_k: int
    b_k: int
    ahead: int
    pairs: bool = False


def name(symbol: str, s: Shape) -> str:
    return f"{symbol}_micro_{s.rows}x{s.vectors}" + (f"_{s.b_k}" if s.b_k else "")


def types(symbol: str, ctype: str, lanes: int) -> str:
    size = {"float": 4, "double": 8}[ctype]
    return (
        f"typedef {ctype} {symbol}_v __attribute__((vector_size({lanes * size})));\n"
        f"typedef {ctype} {symbol}_u __attribute__((vector_size({lanes * size}), aligned({size}), may_alias)); /* unaligned */\n"
    )


def micro(symbol: str, s: Shape, ctype: str, lanes: int, unroll: int) -> str:
    """A function: dst tile (row step ldd) = src tile (row step lds; zero if NULL) + sum over kc of column a times row b."""
    v, u = f"{symbol}_v", f"{symbol}_u"
    tile = [(i, j) for i in range(s.rows) for j in range(s.vectors)]
    body = [f"        const {v} b{j} = *(const {u} *)(b + {j * lanes});" for j in range(s.vectors)]
    if s.ahead:
        body += [f"        __builtin_prefetch(b + {s.ahead + j * lanes});" for j in range(s.vectors)]
    for i in range(s.rows):
        if s.pairs:
            sums = " ".join(f"c{i}_{j} = {symbol}_dot(c{i}_{j}, x{i}, b{j});" for j in range(s.vectors))
            body.append(f"        const uint32_t x{i} = ((const {symbol}_pair *)a)[{i * s.a_row}]; {sums}")
            continue
        sums = " ".join(f"c{i}_{j} += x{i} * b{j};" for j in range(s.vectors))
        body.append(f"        const {ctype} x{i} = a[{i * s.a_row}]; {sums}")
    lines = [
        f"static __attribute__((noinline)) void {name(symbol, s)}(long kc, const {ctype} *restrict a,",
        f"        const {ctype} *restrict b, const {ctype} *src, long lds, {ctype} *dst, long ldd) {{",
        *(f"    {v} {', '.join(f'c{i}_{j} = {{0}}' for j in range(s.vectors))};" for i in range(s.rows)),
        *(f"    __builtin_prefetch(dst + {i} * ldd + {j * lanes}, 1);" for i, j in tile if s.ahead),
        f"#pragma GCC unroll {unroll}",
        "    for (long k = 0; k < kc; ++k) {",
        *body,
        f"        a += {s.a_k}; b += {s.b_k};",
        "    }",
        "    if (src) {",
        *(f"        c{i}_{j} += *(const {u} *)(src + {i} * lds + {j * lanes});" for i, j in tile),
        "    }",
        *(f"    *({u} *)(dst + {i} * ldd + {j * lanes}) = c{i}_{j};" for i, j in tile),
        "}",
    ]
    return "\n".join(lines) + "\n"


def transpose(symbol: str, ctype: str) -> str:
    """Eight rows of a matrix whose rows run along k, as eight columns: three rounds of interleaving in registers."""
    size = {"float": 4, "double": 8}[ctype]
    v, u, mask = f"{symbol}_t", f"{symbol}_tu", f"{symbol}_ti"
    integer = {"float": "int", "double": "long long"}[ctype]
    low, high = "{0, 8, 1, 9, 2, 10, 3, 11}", "{4, 12, 5, 13, 6, 14, 7, 15}"
    names = [f"r{i}" for i in range(8)]
    rounds = []
    for step in range(3):
        fresh = [f"{'stu'[step]}{i}" for i in range(8)]
        for i in range(4):
            rounds.append(
                f"    const {v} {fresh[2 * i]} = __builtin_shuffle({names[i]}, {names[i + 4]}, low);"
            )
            rounds.append(
                f"    const {v} {fresh[2 * i + 1]} = __builtin_shuffle({names[i]}, {names[i + 4]}, high);"
            )
        names = fresh
    clang = [r.replace("__builtin_shuffle(", "__builtin_shufflevector(").replace("low)", "0, 8, 1, 9, 2, 10, 3, 11)").replace("high)", "4, 12, 5, 13, 6, 14, 7, 15)") for r in rounds]  # fmt: skip
    head = [
        f"typedef {ctype} {v} __attribute__((vector_size({8 * size})));",
        f"typedef {ctype} {u} __attribute__((vector_size({8 * size}), aligned({size}), may_alias));",
        f"typedef {integer} {mask} __attribute__((vector_size({8 * size})));",
        f"static inline void {symbol}_transpose8(const {ctype} *restrict s, long step, {ctype} *restrict d, long width) {{",
        *(f"    const {v} r{i} = *(const {u} *)(s + {i} * step);" for i in range(8)),
    ]
    tail = [*(f"    *({u} *)(d + {i} * width) = {names[i]};" for i in range(8)), "}"]
    return "\n".join(
        [*head, "#ifdef __clang__", *clang, "#else", f"    const {mask} low = {low}, high = {high};", *rounds, "#endif", *tail]
    ) + "\n"  # fmt: skip
