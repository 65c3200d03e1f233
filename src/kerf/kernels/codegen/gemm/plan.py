"""The numbers of a blocked contraction: what the decisions mean for one problem on one chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from kerf.kernels.codegen.blocks import balanced, rounded
from kerf.kernels.codegen.gemm.analysis import Operand, Problem, read_outside, sources
from kerf.kernels.codegen.gemm.micro import Shape
from kerf.kernels.ir import Role
from kerf.kernels.schedule import Value
from kerf.kernels.targets.cpu import Chip

LINE = 64
SHALLOW = 128  # k steps
EVERYTHING = (
    1 << 30
)  # a size that was left undecided because the problem is smaller than every choice but one


def lanes_of(p: Problem, chip: Chip) -> int:
    return max(2, chip.vector_bits // 8 // p.acc.bytes)


@dataclass(frozen=True)
class Layout:
    """How one operand reaches the micro-kernel. `kind`: direct (as it lies), packed (in each call) or weights (once). For rows,
    `row` and `k` are the element steps and `block` the room for one row's share of a k block."""

    kind: str
    row: int
    k: int
    block: int


@dataclass(frozen=True)
class Plan:
    mr: int
    nv: int
    lanes: int
    kc: int
    mc: int
    nc: int
    a: Layout
    b: Layout
    unroll: int
    prefetch: int
    order: str
    stream: bool
    parallel: str
    parts: int
    partial: str  # where sums wait between k blocks: none | out | scratch
    tall: int  # rows below this one are covered by tiles of mr rows, the others by tiles of `low` rows
    low: int
    pairs: bool = False  # two bfloat16 values of k in one element of the copies

    @property
    def nr(self) -> int:
        return self.nv * self.lanes

    def tail_vectors(self, n: int) -> int:
        return ceil(n % self.nr / self.lanes)

    def padded(self, n: int) -> int:
        """Columns with the last panel filled up to whole vectors."""
        return n // self.nr * self.nr + self.tail_vectors(n) * self.lanes

    def tiles(self, p: Problem) -> tuple[tuple[bool, Shape], ...]:
        """The tiles this problem needs, whole in n or not, with their micro-kernels: what is left over at the two far edges
        gets kernels of its own."""
        m, n = p.m.extent, p.n.extent
        rows = [r for r in (self.mr if self.tall else 0, self.low if self.tall < m else 0) if r]
        widths = [(True, self.nv, self.b.k)] if n >= self.nr else []
        if n % self.nr:
            widths.append((False, self.tail_vectors(n), self.tail_vectors(n) * self.lanes))
        return tuple(
            (whole, Shape(r, v, self.a.row, self.a.k, b_k, self._ahead(whole, b_k), self.pairs))
            for r in rows
            for whole, v, b_k in widths
        )

    def _ahead(self, whole: bool, b_k: int) -> int:
        """Where a block of B that is read in place is shallow, the next lines of its rows are wanted sooner than further rows."""
        if self.b.kind == "direct" and whole and self.kc <= SHALLOW:
            return 2 * self.nr if self.prefetch else 0
        return self.prefetch * b_k


def make(p: Problem, choices: Mapping[str, Value], chip: Chip, threads: int) -> Plan:
    """The plan these choices stand for. Sizes are clamped to the problem and balanced, so every combination is legal."""
    lanes = lanes_of(p, chip)
    nv = min(int(choices.get("nv", EVERYTHING)), ceil(p.n.extent / lanes))
    mr = min(int(choices.get("mr", EVERYTHING)), p.m.extent, max(1, (chip.registers - 1 - nv) // nv))
    parallel = str(choices.get("parallel", "none")) if threads > 1 else "none"
    most = ceil(p.k.extent / threads) if parallel == "k" else p.k.extent
    pairs = bool(choices.get("pairs", False))
    kc = balanced(p.k.extent, min(int(choices.get("kc", EVERYTHING)), most), 2 if pairs else 1)
    depth = ceil(kc / 2) if pairs else kc
    mc = balanced(p.m.extent, max(mr, int(choices.get("mc", EVERYTHING))), mr)
    nc = balanced(p.n.extent, max(nv * lanes, int(choices.get("nc", EVERYTHING))), nv * lanes)
    blocks = p.k.extent > kc
    partial = (
        "scratch" if parallel == "k" else "none" if not blocks else "out" if out_holds_sums(p) else "scratch"
    )
    a = _rows(p, choices, depth, mr)
    tall, low = heights(p.m.extent, mr, even=mc >= p.m.extent and parallel not in ("m", "grid") and a.k != mr)
    return Plan(
        mr, nv, lanes, kc, mc, nc,
        a=a,
        b=_columns(p, choices, depth, nv * lanes),
        unroll=int(choices["unroll"]), prefetch=int(choices["prefetch"]), order=str(choices["order"]),
        stream=bool(choices.get("stream", False)) and partial != "out",
        parallel=parallel, parts=threads if parallel != "none" else 1, partial=partial, tall=tall, low=low, pairs=pairs,
    )  # fmt: skip


def heights(rows: int, mr: int, *, even: bool) -> tuple[int, int]:
    """How many rows go to tiles of mr rows, and the height of the other tiles: what is left over, or, where few rows would leave
    a low tile that does not hide its loads, one less than mr as often as it takes."""
    tiles = ceil(rows / mr)
    lower = tiles * mr - rows
    if even and lower <= tiles:
        return (tiles - lower) * mr, mr - 1
    return rows // mr * mr, rows % mr


def out_holds_sums(p: Problem) -> bool:
    return sums_buffer(p) is not None


def sums_buffer(p: Problem) -> str | None:
    """A result whose memory can hold the unfinished sums: the accumulator's type, rows at one distance, columns adjacent."""
    for b in p.stored:
        form = p.where(b)
        if (
            b.dtype is p.acc
            and p.n.stride(form) in ((0, 1) if p.n.extent == 1 else (1,))
            and p.m.stride(form) is not None
        ):
            return b.name
    return None


def runs_along_rows(operand: Operand) -> bool:
    """Is the operand contiguous along m (or n) rather than along k?"""
    return operand.stride(operand.row) == 1 and operand.row.extent > 1


def can_be_direct(p: Problem, operand: Operand, *, columns: bool) -> bool:
    """May the micro-kernel read the operand where it lies? Rows need fixed steps; columns must also be adjacent."""
    steps = operand.stride(operand.row), operand.stride(p.k)
    return operand.plain and None not in steps and (not columns or steps[0] == 1 or operand.row.extent == 1)


def can_be_weights(p: Problem, operand: Operand) -> bool:
    """May the operand be packed once? It must be made of parameters that nothing else in the kernel reads."""
    names = sources(operand)
    return operand.role is Role.PARAM and bool(names) and not set(names) & read_outside(p, operand)


def _rows(p: Problem, choices: Mapping[str, Value], kc: int, mr: int) -> Layout:
    """A: unpacked; or blocks of whole rows, whose odd number of cache lines spreads them over the cache's sets; or, where
    memory runs along m, micro-panels with m innermost."""
    kind = _kind(p, p.left, choices, "pack_a", columns=False)
    if kind == "direct":
        return Layout(kind, p.left.stride(p.m) or 0, p.left.stride(p.k) or 0, 0)
    if runs_along_rows(p.left):
        return Layout(kind, 1, mr, kc)
    per_line = LINE // p.acc.bytes
    room = rounded(kc, per_line)
    room += per_line * (room // per_line % 2 == 0)
    return Layout(kind, room, 1, room)


def _columns(p: Problem, choices: Mapping[str, Value], kc: int, nr: int) -> Layout:
    kind = _kind(p, p.right, choices, "pack_b", columns=True)
    if kind == "direct":
        return Layout(kind, 1, p.right.stride(p.k) or 0, kc)
    return Layout(kind, 1, nr, kc)


def _kind(p: Problem, operand: Operand, choices: Mapping[str, Value], name: str, *, columns: bool) -> str:
    if choices.get("pack_weights") and can_be_weights(p, operand):
        return "weights"
    return "packed" if choices.get(name, True) or not can_be_direct(p, operand, columns=columns) else "direct"
