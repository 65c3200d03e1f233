"""How a contraction on matrix registers is cut and where the parts of its operands lie."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from kerf.kernels.codegen.amx import DEPTH, SIDE
from kerf.kernels.codegen.blocks import balanced, rounded
from kerf.kernels.codegen.gemm.analysis import Operand, Problem
from kerf.kernels.codegen.gemm.plan import sources

ROOM = 16 << 20  # bytes of the parts of rows that are copied at a time
NEAR = 256 << 10  # ... where one block of columns is all that they are used for
DEEP = 1 << 20  # bytes of a narrow B's parts that stay near
LINE = 64
REGISTER = 512  # 16-bit values


@dataclass(frozen=True)
class Layout:
    """How an operand comes apart, and whether once for good."""

    operand: Operand
    parts: int
    once: bool

    @property
    def step(self) -> int:
        """16-bit values of 32 rows or columns and 32 steps of k."""
        return 2 * self.parts * REGISTER

    @property
    def name(self) -> str:
        """The buffer that its parts take the place of."""
        return sources(self.operand)[0]


@dataclass(frozen=True)
class Plan:
    p: Problem
    kc: int
    nc: int
    a: Layout
    b: Layout
    parallel: str
    parts: int

    @property
    def steps(self) -> int:
        """Of 32, in the whole of k."""
        return ceil(self.p.k.extent / DEPTH)

    @property
    def narrow(self) -> bool:
        """Is one block of columns all there is? Then it is copied once, and rows stay near for the little that they are used."""
        return self.p.n.extent <= self.nc

    @property
    def deep(self) -> bool:
        """... and is it too large to stay near? Then a block of k is copied at a time of both, and all sums wait."""
        return self.narrow and not self.b.once and self.several and self.matrix(self.b) > DEEP

    @property
    def mc(self) -> int:
        """Rows copied at a time."""
        room, reach = NEAR if self.narrow else ROOM, self.kc if self.deep else self.steps * DEPTH
        return balanced(self.p.m.extent, max(SIDE, room // (reach * self.a.parts * 2)), SIDE)

    @property
    def strip(self) -> int:
        """16-bit values between 32 columns of B and the next."""
        whole = self.b.once or (self.narrow and not self.deep)
        return (self.steps if whole else self.kc // DEPTH) * self.b.step

    @property
    def high(self) -> int:
        """16-bit values between 32 rows of A and the next."""
        return (self.kc // DEPTH if self.deep and not self.a.once else self.steps) * self.a.step

    @property
    def several(self) -> bool:
        """Do sums wait between blocks of k?"""
        return self.kc < self.p.k.extent

    def rooms(self) -> tuple[int, int, int]:
        """Bytes of one part's copies of A and of B, and of its sums."""
        a = 0 if self.a.once else self.mc // SIDE * self.high * 2
        b = 0 if self.b.once else self.nc // SIDE * self.strip * 2
        rows = rounded(self.p.m.extent, SIDE) if self.deep else self.mc if self.several else SIDE
        return a, b, rows * (self.nc if self.several else SIDE) * 4

    def matrix(self, layout: Layout) -> int:
        """Bytes of one whole operand's parts."""
        return ceil(layout.operand.row.extent / SIDE) * self.steps * layout.step * 2

    def packed(self, layout: Layout) -> tuple[int, int]:
        """Bytes before the unchanged values that follow an operand's parts, and in all. The first line says whether it is fit."""
        layers = self.p.z.extent if layout.operand.batched else 1
        before = LINE + layers * self.matrix(layout)
        return before, before + rounded(self.p.group.buffer(layout.name).bytes, LINE)
