"""What both ways of pooling share."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from kerf.kernels.codegen.expr import ctype, literal
from kerf.kernels.codegen.pool.window import window
from kerf.kernels.codegen.tail import Tail
from kerf.kernels.ir import DType, Pool
from kerf.kernels.schedule import Value
from kerf.kernels.targets.cpu import Chip


class Writer:
    """What both ways of pooling share: names, element types, the reduction as C."""

    def __init__(
        self, tail: Tail, op: Pool, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> None:
        self.tail, self.op, self.choices, self.chip, self.threads, self.symbol = (
            tail,
            op,
            choices,
            chip,
            threads,
            symbol,
        )
        self.x = tail.group.buffer(op.x)
        self.w = window(op, self.x)
        self.value = ctype(self.x.dtype)
        self.lowest = _lowest(self.x.dtype) if op.kind == "max" else literal(0, self.x.dtype)

    def combine(self, a: str, b: str) -> str:
        return f"{self.symbol}_max({a}, {b})" if self.op.kind == "max" else f"{a} + {b}"

    def max_function(self) -> str:
        """NaN wins, as in torch: two comparisons into one mask, and one masked move (a maximum mended for NaN afterwards costs
        compilers twice as much where calls are nested)."""
        t = self.value
        wins = "!(a <= b) & (b == b)" if self.x.dtype.is_float else "a > b"
        return f"static inline {t} {self.symbol}_max({t} a, {t} b) {{\n    return {wins} ? a : b;\n}}\n"

    def count(self, index: str, d: int) -> str:
        """C for how many elements of the window at `index` count along dimension d."""
        w = self.w
        start = f"({index} * {w.stride[d]} - {w.padding[d]})"
        end = f"KF_MIN_L({start} + {w.kernel[d]}, {w.size[d] + w.padding[d]})"
        if self.op.count_include_pad:
            return f"{end} - {start}"
        return f"KF_MIN_L({end}, {w.size[d]}) - KF_MAX_L({start}, 0L)"

    def start(self, column: str) -> str:
        """C for the first position inside the input of the window at (od, oh, column), which torch reports where nothing beats the lowest value."""
        w = self.w
        terms = []
        for d, index in enumerate(("od", "oh", column)):
            low = f"{index} * {w.stride[d]}L - {w.padding[d]}"
            skip = f"({w.dilation[d] - 1} - ({low})) / {w.dilation[d]} * {w.dilation[d]}"
            terms.append(f"({low} < 0 ? {low} + {skip} : {low})")
        return f"({terms[0]} * {w.size[1]} + {terms[1]}) * {w.size[2]} + {terms[2]}"

    def pragma(self) -> str:
        return (
            "#pragma omp parallel for num_threads(threads) schedule(static)\n    " if self.threads > 1 else ""
        )

    def work(self) -> tuple[float, float]:
        """Flops (one a tap and output) and bytes of one call."""
        return float(prod(self.w.kernel) * self.op.out.size), float(self.tail.group.bytes)


def _lowest(kind: DType) -> str:
    table = {
        DType.I64: "INT64_MIN",
        DType.I32: "INT32_MIN",
        DType.I16: "INT16_MIN",
        DType.I8: "INT8_MIN",
        DType.U8: "0",
    }
    return table.get(kind, "(-INFINITY)")


def even(count: int) -> int:
    """`count` elements rounded up so that what follows stays on a 64-byte boundary."""
    return -(-count // 16) * 16
