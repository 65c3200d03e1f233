"""GCC and clang vector extensions as C text: types, and shuffles both compilers accept."""

from __future__ import annotations

from collections.abc import Sequence

BYTES = {"float": 4, "double": 8, "int64_t": 8, "int32_t": 4, "int16_t": 2, "int8_t": 1, "uint8_t": 1, "uint16_t": 2}
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
