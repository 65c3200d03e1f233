"""Arithmetic of fewer bits than it says: how far off an output may be as a whole.

A tolerance for single elements must hold for sums in any order, plain ones of thousands of terms in one accumulator too; behind such
errors the rounding of operands to 16 bits can hide, in positive sums entirely. Where the inputs are sparse, sums have few terms and no
order costs anything: what remains is the precision of the operands and of their products. There the root mean square error over the
largest elements (which nothing cancels in, and which Winograd's algorithm adds least to) may be MULTIPLE times that of honest variants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

MULTIPLE = 8.0
SHARE, FEWEST = 1 / 16, 64  # of the elements that are not zero; at least so many
SAMPLE = 1 << 16


@dataclass(frozen=True)
class Spread:
    """`at`: the largest elements of an output, as indices in its order; `limit`: their root mean square error; `honest`: the largest that
    a variant showed, or half a unit in the last place."""

    at: torch.Tensor
    honest: float

    @property
    def limit(self) -> float:
        return self.honest * MULTIPLE

    def error(self, answer: torch.Tensor, value: torch.Tensor) -> float:
        found = answer.reshape(-1)[self.at].double() - value.reshape(-1)[self.at].double()
        return float(found.square().mean().sqrt())


def spread_of(
    exact: torch.Tensor, variants: Sequence[torch.Tensor], free: torch.Tensor | None
) -> Spread | None:
    """What the variants show; None where no element is finite and not zero."""
    size = exact.abs().reshape(-1).nan_to_num_(0.0, 0.0, 0.0)
    if free is not None:
        size.masked_fill_(free.reshape(-1), 0.0)
    at = torch.nonzero(size >= _large(size)).reshape(-1) if bool(size.any()) else None
    if at is None:
        return None
    found = Spread(at, 0.0)
    half = float(size[at].square().mean().sqrt()) * torch.finfo(torch.float32).eps / 2
    return Spread(at, max(half, *(found.error(v, exact) for v in variants)))


def _large(size: torch.Tensor) -> float:
    """The least of the largest elements, from a sample where there are many."""
    known = size[:: max(1, size.numel() // SAMPLE)]
    known = known[known > 0]
    if known.numel() == 0:
        known = size[size > 0]
    wanted = min(known.numel(), max(FEWEST, int(known.numel() * SHARE)))
    return float(known.topk(wanted).values[-1])
