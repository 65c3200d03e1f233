"""Fresh arguments for every call, at the price of one copy.

A few sets are drawn from the problem's contract; each call gets a new mixture of them, cut at secret places. A mixture keeps whatever
rule holds element by element, so the contract is kept; arguments with structure across elements are mixed row by row, or taken whole
from one set."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Sequence
from typing import Any

import torch

from kerf.kernels.contract import Contract, Rule

SETS, CUTS = 3, 12
_ELEMENTWISE = ("", "lower", "upper", "diagonal")


class Mixer:
    """`mix(rng)` gives arguments that no earlier call had. Deterministic in `seed` and the generator."""

    def __init__(self, contract: Contract, seed: int, sets: int = SETS) -> None:
        self.rules: Sequence[Rule] = getattr(contract, "rules", ())
        self.sets = [
            contract.draw(torch.Generator().manual_seed((seed + i) & (1 << 62) - 1), "given")
            for i in range(sets)
        ]

    def mix(self, rng: random.Random) -> list[Any]:
        return [self._argument(i, rng) for i in range(len(self.sets[0]))]

    def _argument(self, i: int, rng: random.Random) -> Any:
        options = [s[i] for s in self.sets]
        first = options[0]
        if not isinstance(first, torch.Tensor) or first.numel() < 2:
            return rng.choice(options)
        grain = self._grain(i, first)
        if grain is None:
            return rng.choice(options)
        return _spliced([_flat(t) for t in options], first, grain, rng)

    def _grain(self, i: int, t: torch.Tensor) -> int | None:
        """How many consecutive elements belong together; None where only a whole set will do."""
        rule = self.rules[i] if i < len(self.rules) else None
        if rule is None or rule.domain == "fixed" or _flat(t) is None:
            return None
        if rule.structure in _ELEMENTWISE:
            return 1
        dim = rule.dim % t.dim() if t.dim() else 0
        apart = (dim > 0 and rule.structure in ("probability", "one_hot", "sorted")) or (
            t.dim() > 2 and rule.structure == "symmetric"
        )
        return t.numel() // t.shape[0] if apart and t.is_contiguous() else None


def _flat(t: torch.Tensor) -> torch.Tensor | None:
    """All elements in the order of memory, as a view; None for tensors with holes or overlaps."""
    strides = t.stride()
    order = sorted(range(t.dim()), key=lambda d: -strides[d])
    back = t.permute(order)
    return back.reshape(-1) if back.is_contiguous() else None


def _spliced(flats: Sequence[Any], like: torch.Tensor, grain: int, rng: random.Random) -> torch.Tensor:
    out = torch.empty_strided(like.shape, like.stride(), dtype=like.dtype)
    flat = _flat(out)
    assert flat is not None
    units = flat.numel() // grain
    cuts = sorted({rng.randrange(1, units) for _ in range(CUTS)} if units > 1 else set())
    for a, b in zip([0, *cuts], [*cuts, units]):
        start, size = a * grain * flat.element_size(), (b - a) * grain * flat.element_size()
        ctypes.memmove(flat.data_ptr() + start, rng.choice(flats).data_ptr() + start, size)
    return out
