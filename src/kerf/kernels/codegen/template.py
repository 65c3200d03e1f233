"""The face of a code generator: one per kind of kernel, found by `templates()`.

Every generated kernel is one C function

    static void NAME(const T0 *restrict in0, ..., U0 *restrict out0, ..., char *restrict scratch, int threads)

with the pointers in the order of `group.inputs` then `group.outputs` (64-byte aligned, contiguous, never aliasing),
`scratch` 64-byte aligned with at least `Emitted.scratch_bytes`, and `threads` the number of OpenMP threads to use
(`num_threads(threads)`; with 1 nothing may be spawned). Storage C types are in `codegen.expr.CTYPE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from kerf.kernels.ir import Group
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import Chip


@dataclass(frozen=True)
class Packed:
    """A parameter rewritten once into a layout the kernel reads faster. The kernel then receives the packed bytes in
    place of the parameter `source`. `symbol` is a C function in `Emitted.code`:

        static void SYMBOL(const void *const *sources, void *packed)

    with `sources` pointing at the parameters named by `reads` (default: just `source`)."""

    source: str
    symbol: str
    bytes: int
    ctype: str = "float"
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Emitted:
    """`code`: complete C text of the kernel and its helpers, every symbol prefixed by the kernel's name. `flops` and
    `bytes` are the useful work of one call (for the roofline); `scratch_bytes` is for all `threads` together and
    is computed for the `threads` given to emit()."""

    code: str
    symbol: str
    scratch_bytes: int = 0
    packed: tuple[Packed, ...] = ()
    flops: float = 0.0
    bytes: float = 0.0


class Template(Protocol):
    name: str

    def accepts(self, group: Group) -> bool:
        """Can this template generate the whole group as one kernel?"""

    def decisions(self, group: Group, chip: Chip, threads: int) -> tuple[Decision, ...]:
        """What may vary, each with the heuristic's default."""

    def emit(
        self, group: Group, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> Emitted:
        """C for the group under these choices (already resolved against `decisions`)."""


def templates() -> tuple[Template, ...]:
    """Every template, the most specific first: the first that accepts a group is its generator."""
    from kerf.kernels.codegen import (
        attention,
        conv,
        gemm,
        nest,
        pool,
        recurrence,
        recurrence_products,
        recurrent,
        scan,
    )

    return (
        attention.TEMPLATE,
        recurrent.TEMPLATE,
        recurrence.TEMPLATE,
        recurrence_products.TEMPLATE,
        conv.TEMPLATE,
        pool.TEMPLATE,
        scan.TEMPLATE,
        gemm.TEMPLATE,
        nest.TEMPLATE,
    )


def template_for(group: Group) -> Template | None:
    return next((t for t in templates() if t.accepts(group)), None)
