"""Operands of a fused loop that memory does not hold in its order: put there first, a block at a time.

A map whose innermost axis is narrow (colours, coordinates, frequencies) runs over several axes as one loop; what it reads along some of them
only is repeated into an array of one block. Where each vector of it comes from one or two vectors of memory, that takes two loads and a
shuffle; else one load an element, by a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kerf.kernels.codegen.expr import CTYPE
from kerf.kernels.codegen.vector import shuffle, vector_types
from kerf.kernels.ir import Affine, DType


@dataclass(frozen=True)
class Staged:
    """An operand over the fused axis, whose pattern repeats every `len(places)` elements: element l of repetition u lies `places[l]` +
    u * `step` elements after `base` (over the axes outside, and the repetition at which the block begins) in `buffer`; or, without a
    buffer, is `places[l]` itself. `lanes`: of the vectors that it is shuffled from; 0 where it is read by the table."""

    name: str
    buffer: str
    base: Affine
    places: tuple[int, ...]
    step: int
    dtype: DType
    lanes: int

    @property
    def once(self) -> bool:
        """The same in all blocks?"""
        return not self.base.coefficients and not self.step

    @property
    def ctype(self) -> str:
        return CTYPE[self.dtype]

    @property
    def array(self) -> str:
        return f"w_{self.name}"

    def function(self, symbol: str) -> str:
        """C of `SYMBOL_NAME(s, left, w, n)`: `n` elements from `s`, of which `left` are in the buffer, into `w`, which holds whole
        repetitions."""
        unit, table = len(self.places), ", ".join(map(str, self.places))
        source = f"s[t_{self.name}[j]]" if self.buffer else f"t_{self.name}[j]"
        lines = [
            f"static inline void {symbol}_{self.name}(const {self.ctype} *restrict s, long left, {self.ctype} *restrict w, long n) {{",
            f"    static const int32_t t_{self.name}[{unit}] = {{{table}}};",
            "    long l = 0;",
            *(self._shuffled(symbol) if self.lanes else ()),
            f"    for (; l < n; l += {unit}, s += {self.step})",
            f"        for (long j = 0; j < (n - l < {unit} ? n - l : {unit}); j++) w[l + j] = {source};",
            "    (void)left;",
            "}",
        ]
        return "\n".join(lines)

    def _shuffled(self, symbol: str) -> list[str]:
        unit, lanes = len(self.places), self.lanes
        body = [line for at in range(0, unit, lanes) for line in self._vector(symbol, at)]
        needed = max(_window(self.places[at : at + lanes], lanes)[1] for at in range(0, unit, lanes))
        return [
            f"    for (; l < n && left >= {needed}; l += {unit}, s += {self.step}, left -= {self.step}) {{",
            *(f"        {line}" for line in body),
            "    }",
        ]

    def _vector(self, symbol: str, at: int) -> list[str]:
        lanes, v = self.lanes, f"{symbol}_v"
        places = self.places[at : at + lanes]
        low, high = _window(places, lanes)
        first = f"*(const {v} *)(s + {low})"
        if [p - low for p in places] == list(range(lanes)):
            return [f"*({v} *)(w + l + {at}) = {first};"]
        second = f"*(const {v} *)(s + {low + lanes})" if high - low > lanes else "a"
        mixed = shuffle("a", "b", [p - low for p in places], f"{symbol}_mask")
        return [
            "{",
            f"    const {v} a = {first}, b = {second};",
            f"    *({v} *)(w + l + {at}) = {mixed};",
            "}",
        ]


def _window(places: Sequence[int], lanes: int) -> tuple[int, int]:
    """The elements from .. to that one or two vectors must span to hold them."""
    low = min(places)
    return low, low + lanes * (1 + (max(places) - low >= lanes))


def shuffled(places: Sequence[int], step: int, dtype: DType, lanes: int) -> bool:
    """Do one or two vectors hold what each vector needs?"""
    cuts = [places[at : at + lanes] for at in range(0, len(places), lanes)]
    near = all(max(c) - min(c) < 2 * lanes for c in cuts)
    return dtype is DType.F32 and min(places) >= 0 and step >= 0 and near


def declarations(symbol: str, staged: Sequence[Staged]) -> list[str]:
    lanes = max((s.lanes for s in staged), default=0)
    types = [vector_types(symbol, "float", lanes)] if lanes else []
    return [*types, *(s.function(symbol) for s in staged)]
