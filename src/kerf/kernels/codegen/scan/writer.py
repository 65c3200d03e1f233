"""What scans along any axis share: the running operation in C, and how elements are read and stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from kerf.kernels.codegen.expr import bound, ctype, literal, memory_loads, offset
from kerf.kernels.codegen.tail import MACROS, Tail, pointer, pointers
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.ir import DType, Group, Scan, affine, loads
from kerf.kernels.schedule import Value
from kerf.kernels.targets.cpu import Chip

LINE = 64  # bytes of a cache line


@dataclass(frozen=True)
class Extent:
    """The loops around and along a scan: `outer` x `length` x `inner` elements, the middle one scanned."""

    outer: int
    length: int
    inner: int


def extent(op: Scan) -> Extent:
    at = [a.name for a in op.axes].index(op.axis)
    sizes = [a.extent for a in op.axes]
    return Extent(prod(sizes[:at]), sizes[at], prod(sizes[at + 1 :]))


def scan_of(group: Group) -> Scan:
    op = group.ops[0]
    assert isinstance(op, Scan)
    return op


class Writer:
    """What both directions share: the running operation in C, and how elements are read and stored."""

    def __init__(
        self, tail: Tail, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> None:
        self.tail, self.choices, self.chip, self.threads, self.symbol = tail, choices, chip, threads, symbol
        self.op = scan_of(tail.group)
        self.e = extent(self.op)
        computed, out = self.op.value.dtype.compute, self.op.out.dtype.compute
        self.kind: DType = computed if out.is_float and computed.is_float else out
        self.element_type = ctype(self.kind)
        if self.op.kind == "prod" and self.kind is DType.F32:
            self.kind = DType.F64  # a stretch may overflow float32 where what came before it is small
        self.value = ctype(self.kind)
        self.direct = self.tail.direct and self.element_type == ctype(out)
        self.identity = _identity(self.op.kind, self.kind)
        # sums and products of float32 carry in double between vectors
        wide = self.kind is DType.F32 and self.op.kind in ("sum", "prod")
        self.carry = "double" if wide else self.value

    def combine(self, a: str, b: str) -> str:
        if self.op.kind in ("sum", "prod"):
            return f"{a} {'+' if self.op.kind == 'sum' else '*'} {b}"
        return f"{self.symbol}_join({a}, {b})"

    def join_function(self) -> str:
        t, kind = self.value, self.op.kind
        if kind in ("sum", "prod"):
            return ""
        if kind == "logsumexp":
            body = _logaddexp(t, "" if t == "float" else "_f64")
        else:
            keep = "a != a ? a : m" if self.kind.is_float else "m"
            body = f"    {t} m = a {'>' if kind == 'max' else '<'} b ? a : b;\n    return {keep};\n"
        return f"static inline {t} {self.symbol}_join({t} a, {t} b) {{\n{body}}}\n"

    def element(self, axes: dict[str, str], indent: str) -> tuple[list[str], str]:
        """C of the scanned value at these loop variables."""
        group = self.tail.group
        lines, code = bound(self.op.value, axes, memory_loads(group.buffer, axes, pointers(group)), indent)
        return lines, f"({self.element_type})({code})"

    def fetched(self, axes: dict[str, str], count: str, indent: str, ahead: int) -> list[str]:
        """Statements that fetch the next `count` elements after these loop variables, `ahead` bytes on, from each buffer that runs along
        with the output."""
        out = []
        for load in dict.fromkeys(loads(self.op.value)) if ahead else ():
            buffer = self.tail.group.buffer(load.buffer)
            if buffer.size < self.op.out.size or any(affine(i) is None for i in load.index):
                continue
            size = buffer.dtype.bytes
            at = f"{pointer(buffer.name)} + {offset(load, buffer, axes)} + {ahead // size}"
            out.append(
                f"{indent}for (long l = 0; l < {count}; l += {64 // size}) __builtin_prefetch({at} + l, 0, 2);"
            )
        return out

    def emitted(self, code: str, scratch: int) -> Emitted:
        return Emitted(
            MACROS + code, self.symbol, scratch, (), float(self.op.out.size), float(self.tail.group.bytes)
        )

    def pragma(self, wanted: bool = True) -> str:
        return (
            "#pragma omp parallel for num_threads(threads) schedule(static)\n    "
            if self.threads > 1 and wanted
            else ""
        )


def _identity(kind: str, dtype: DType) -> str:
    ends = {DType.I64: ("INT64_MIN", "INT64_MAX"), DType.I32: ("INT32_MIN", "INT32_MAX"), DType.I16: ("INT16_MIN", "INT16_MAX"),
            DType.I8: ("INT8_MIN", "INT8_MAX"), DType.U8: ("0", "UINT8_MAX")}  # fmt: skip
    if kind in ("sum", "prod"):
        return literal(int(kind == "prod"), dtype)
    low, high = ends.get(dtype, ("(-INFINITY)", "INFINITY"))
    return high if kind == "min" else low


def _logaddexp(t: str, suffix: str) -> str:
    """log(exp(a) + exp(b)); equal infinities stay, NaN wins."""
    return (f"    const {t} high = a > b ? a : b, low = a > b ? b : a;\n    const {t} gap = low - high;\n"
            f"    const {t} sum = high + kf_log1p{suffix}(kf_exp{suffix}(gap));\n"
            f"    return (low == high) & (high - high != 0) & (high == high) ? high : a != a ? a : sum;\n")  # fmt: skip
