"""The register tile: rows (filters) by vectors of output positions, summed over channels and taps."""

from __future__ import annotations

from kerf.kernels.targets.cpu import Chip

# Wider tiles than this gain nothing: the loads no longer hide anything.
_WIDEST = 8


def lanes_of(chip: Chip, size: int) -> int:
    """Elements of `size` bytes in a vector."""
    return max(chip.vector_bits // (8 * size), 1)


def fits(rows: int, vectors: int, chip: Chip) -> bool:
    """Accumulators, a row of inputs and one broadcast weight stay in registers."""
    return rows * vectors + vectors + 1 <= chip.registers


def default_tile(filters: int, chip: Chip) -> tuple[int, int]:
    """(rows, vectors) with the most useful multiplications per instruction."""
    options = [(even_rows(filters, r), v) for r in range(1, 17) for v in range(1, _WIDEST + 1)]
    return max((o for o in options if fits(*o, chip)), key=lambda o: _yield(filters, *o))


def _yield(filters: int, rows: int, vectors: int) -> float:
    """Useful share of the work: rows past the last filter are wasted, and loads (an unaligned one counts twice) are only
    partly hidden behind the multiplications."""
    useful = filters / (-(-filters // rows) * rows)
    return useful * rows * vectors / (rows * vectors + 0.35 * (rows + 2 * vectors))


def even_rows(filters: int, most: int) -> int:
    """Rows a block when `filters` are cut into the fewest blocks of at most `most`."""
    return -(-filters // -(-filters // most))


def vector_types(symbol: str, kind: str, lanes: int, size: int) -> str:
    return (
        f"#define {symbol}_LANES {lanes}\n"
        f"typedef {kind} {symbol}_vec __attribute__((vector_size({lanes * size})));\n"
        f"/* the same, at any address of its element type */\n"
        f"typedef {kind} {symbol}_any __attribute__((vector_size({lanes * size}), aligned({size}), may_alias));\n"
    )


def micro_kernel(symbol: str, kind: str, rows: int, vectors: int, pitch: int) -> str:
    """`SYMBOL_tileV(channels, step, taps, tap, a, b, out)`: out[r][.] (rows of `pitch` elements) = the sum over channels c and taps
    t of a[c][t][r] * b[c * step + tap[t] + .], for V vectors of positions. (A scalar minus a zero vector is a plain
    broadcast; plus would not be, for -0.)"""
    many = range(vectors)
    acc = [[f"s{r}_{v}" for v in many] for r in range(rows)]
    zero = "\n".join(f"    {symbol}_vec {', '.join(f'{name} = {{0}}' for name in row)};" for row in acc)
    inputs = "\n".join(
        f"            const {symbol}_vec x{v} = *(const {symbol}_any *)(p + {v} * {symbol}_LANES);"
        for v in many
    )
    sums = "\n".join(
        f"            w = a[{r}] - ({symbol}_vec){{0}}; "
        + " ".join(f"{acc[r][v]} += w * x{v};" for v in many)
        for r in range(rows)
    )
    store = "\n".join(
        "    "
        + " ".join(
            f"*({symbol}_any *)(out + {r * pitch} + {v} * {symbol}_LANES) = {acc[r][v]};" for v in many
        )
        for r in range(rows)
    )
    return f"""static void __attribute__((noinline)) {symbol}_tile{vectors}(long channels, long step, long taps, const int *restrict tap,
    const {kind} *restrict a, const {kind} *restrict b, {kind} *restrict out)
{{
{zero}
    for (long c = 0; c < channels; c++, b += step) {{
        for (long t = 0; t < taps; t++, a += {rows}) {{
            const {kind} *p = b + tap[t];
            {symbol}_vec w;
{inputs}
{sums}
        }}
    }}
{store}
}}
"""


def micro_kernels(symbol: str, kind: str, rows: int, vectors: int, pitch: int) -> str:
    """One kernel per number of vectors, so that a ragged tile computes no vector in vain, and the one that chooses."""
    kernels = "\n".join(micro_kernel(symbol, kind, rows, v, pitch) for v in range(1, vectors + 1))
    cases = "\n".join(
        f"    {'else ' if v > 1 else ''}if (count <= {v} * {symbol}_LANES) {symbol}_tile{v}(channels, step, taps, tap, a, b, out);"
        for v in range(1, vectors + 1)
    )
    return f"""{kernels}
static void {symbol}_tile(long count, long channels, long step, long taps, const int *restrict tap,
    const {kind} *restrict a, const {kind} *restrict b, {kind} *restrict out)
{{
{cases}
}}
"""
