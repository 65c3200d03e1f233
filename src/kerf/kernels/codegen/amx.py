"""Products of float32 values on matrix registers (AMX), which multiply bfloat16 and add in float32.

Each operand is taken apart into three bfloat16 values whose sum it is, exactly; of the nine products of parts the six largest are added, the smallest
first, so that what is left out is of the size of float32's own rounding (Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial
Intelligence Datatype For Higher-Precision Computations", ARITH 2019; vendors call it BF16x6 or BF16x9). Values stored in 16 bits need fewer parts.

The instructions flush subnormal numbers to zero: what is smaller than 2**-40 takes another way (`kf_odd` in `amx.h`, which holds what all such
kernels share: the instructions and the taking apart)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

from kerf.kernels.ir import DType
from kerf.kernels.targets.cpu import Chip

ROWS = 16  # of a matrix register, each of 64 bytes: 16 sums, or 32 values of k
DEPTH = 32  # k steps of one instruction
SIDE = 2 * ROWS  # of the square of sums that four registers hold
KEPT = 2  # parts i and j are multiplied where i + j is at most this; the rest is 2**-24 of the product
GUARD = "#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__AVX512BW__) && defined(__linux__)"


def able(chip: Chip) -> bool:
    return {"amx_tile", "amx_bf16", "avx512_bf16", "avx512bw"} <= chip.features


def parts_of(stored: DType | None) -> int:
    """bfloat16 values that one value is the sum of, by the type it is stored in, if it is as it was stored."""
    return {DType.BF16: 1, DType.F16: 2}.get(stored, 3) if stored else 3


def products(a: int, b: int) -> list[tuple[int, int]]:
    """The pairs of parts to multiply, in the order that loads the fewest registers; the largest comes last."""
    found = [(i, j) for i in range(a) for j in range(b) if i + j <= KEPT]
    orders = [list(o) for o in permutations(found) if o[-1] == (0, 0)]
    return min(orders, key=lambda o: (_loads(o), [-i - j for i, j in o]))


def _loads(order: Sequence[tuple[int, int]]) -> int:
    around = [order[-1], *order]
    return sum((p[0] != q[0]) + (p[1] != q[1]) for p, q in zip(around, order, strict=False))


@dataclass(frozen=True)
class Far:
    """Rows of results that are asked for in each step of k, and the bytes from one to the next."""

    rows: int
    step: int


def micro(s: str, rows: int, columns: int, a: int, b: int, ahead: int, width: int = SIDE) -> str:
    """`S_micro_RxC(a, b, steps, c, next)`: rows x columns registers of sums over 32 * `steps` steps of k, to c. A step
    of a or b holds the parts of 32 rows or columns, each a register. `ahead`: lines of the next rows' parts that are asked for in
    each step."""
    far = [
        f"        for (int i = 0; i < {ahead}; ++i) __builtin_prefetch(next + 64 * i, 0, 2);",
        f"        next += {64 * ahead};",
    ]
    lines = [
        f"static __attribute__((noinline)) void {s}_micro_{rows}x{columns}(const uint16_t *a, const uint16_t *b, long steps,",
        "        float *c, const char *next) {",
        "    (void)next;",
        *_zeros(rows, columns),
        f"    for (; steps; --steps, a += {1024 * a}, b += {1024 * b}) {{",
        *(far if ahead else []),
        *_step(rows, columns, (a, b), ("b + {}", b * 512, 512, 64), 16 * columns * b),
        "    }",
        *_sums(rows, columns, width),
        "}",
    ]
    return "\n".join(lines) + "\n"


def micro_in_place(
    s: str, shape: tuple[int, int], parts: tuple[int, int], row: int, part: int, width: int, far: Far | None
) -> str:
    """`S_micro_RxC(a, b, blocks, tap, taps, c, out)`: the same, with columns read where they lie: pairs along k of neighbouring columns are
    neighbours, `row` elements from one pair to the next and `part` from one part to the next; in each block of 32 steps of k, `taps`
    times, from b + tap[.]. `width`: floats from one row of sums to the next. `far`: where results will go, from `out` on, which is asked
    for meanwhile."""
    rows, columns = shape
    a, b = parts
    asked = "__builtin_prefetch(out + {}, 1);"
    lines = [
        f"static __attribute__((noinline)) void {s}_micro_{rows}x{columns}(const uint16_t *a, const uint32_t *b, long blocks,",
        "        const int *restrict tap, long taps, float *c, const char *out) {",
        f"    int asked = {ROWS * rows};" if far else "    (void)out;",
        *_zeros(rows, columns),
        f"    for (; blocks; --blocks, b += {ROWS * row}L)",
        f"    for (long t = 0; t < taps; ++t, a += {1024 * a}) {{",
        "        const uint32_t *at = b + tap[t];",
    ]
    if far:
        each = " ".join(asked.format(64 * i) for i in range(columns + 1))
        lines.append(
            f"        for (int i = 0; i < {far.rows} && asked; ++i, --asked, out += {far.step}L) {{ {each} }}"
        )
    lines += [
        *_step(rows, columns, (a, b), ("at + {}", ROWS, part, 4 * row), 0),
        "    }",
        *_sums(rows, columns, width),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _zeros(rows: int, columns: int) -> list[str]:
    return [f"    KF_TILE_ZERO({t});" for t in range(rows * columns)]


def _sums(rows: int, columns: int, width: int = SIDE) -> list[str]:
    places = [i * ROWS * width + j * ROWS for i in range(rows) for j in range(columns)]
    return [f"    KF_TILE_STORE({t}, c + {p}, {4 * width});" for t, p in enumerate(places)]


def _step(
    rows: int, columns: int, parts: tuple[int, int], place: tuple[str, int, int, int], near: int
) -> list[str]:
    """One step's products, registers loaded when a part is first needed, and between them `near` lines of the next step of b asked
    for. `place`: how an address in b is written, what its registers and parts add to it, and the bytes between rows."""
    a, b = parts
    text, register, part, stride = place
    order = products(a, b)
    lines, held, line = [], dict[int, int](), 0
    share = -(-near // (len(order) * rows * columns))

    def load(name: int, code: str, wanted: int, step: int) -> str:
        if held.get(name) == wanted:
            return ""
        held[name] = wanted
        return f"KF_TILE_LOAD({name}, {code}, {step}); "

    for i, j in order:
        for r in range(rows):
            for c in range(columns):
                code = load(4 + r, f"a + {(r * a + i) * 512}", i, 64)
                code += load(6 + c, text.format(c * register + j * part), j, stride)
                lines.append(f"        {code}KF_TILE_MULTIPLY({r * columns + c}, {4 + r}, {6 + c});")
                for _ in range(min(share, near - line)):
                    lines.append(f"        __builtin_prefetch(b + {1024 * b + 32 * line});")
                    line += 1
    return lines
