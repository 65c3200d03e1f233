"""Honest variants of the reference for inputs whose sums have few terms that are not zero: each operator rounded once more, and what sums of
many terms, Winograd's algorithm and equal terms add to that."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from kerf.kernels.referee.variants import (
    OPERANDS,
    Perturbed,
    is_exact,
    reduced,
    run_each,
    walk,
)

WINOGRAD = 2.25  # half units in the last place, root mean square over the large elements of a sparse convolution by F(4x4, 3x3): 3.5 to 7
EQUAL = 1 / 16  # of a half unit for each of many equal terms, added one after the other
LONG = (
    1 / 400
)  # of a half unit for each of many terms of one sign: small ones beside a long sum are only ever rounded down
_MOVES = ("clone", "set_", "view")
_NORMS = ("layer_norm", "group_norm", "batch_norm", "instance_norm")  # which subtract a mean


def run_rounded(module: Any, args: Sequence[Any], seeds: Sequence[int]) -> list[list[torch.Tensor]]:
    """Perturbed variants for inputs whose sums have few terms."""
    return run_each(module, args, [partial(_Rounded, seed) for seed in seeds])


class _Rounded(Perturbed):
    """The walk is as long as there are terms that are not zero, in products too; nothing is added for what cancels or for neighbours, which
    decide no root mean square over large elements."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, narrow=False)

    def noisy(self, func: Any, args: Any, out: torch.Tensor) -> torch.Tensor:
        name = str(func)
        if out.dtype != torch.float32 or out.numel() == 0 or is_exact(name) or any(k in name for k in _MOVES):
            return out
        with torch.utils._python_dispatch._disable_current_modes():
            noise = self.signs(out.numel(), torch.float32).view(out.shape)
            noise = noise * (2.0**-24 * _few_terms_walk(name, args, out))
            size = out.abs().clamp_(min=_typical(out)) if any(k in name for k in _NORMS) else out
            noisy = torch.addcmul(out, noise, size)
            return out.copy_(noisy) if func._schema.is_mutable else noisy


def _few_terms_walk(name: str, args: Any, out: torch.Tensor) -> float:
    """As `walk`, of the terms that are not zero. Zeros that a norm shifts or a softmax raises to a power are equal terms, whose roundings
    do not cancel but add up."""
    op, tensors = name.split(".")[1], [a for a in args if isinstance(a, torch.Tensor) and a.numel()]
    if op == "convolution" or op in OPERANDS or ("attention" in op and len(tensors) > 2):
        n, operands = _factors(op, tensors)
        length = walk(n * math.prod(map(_filled, operands)))
        return max(WINOGRAD, length) if op == "convolution" and math.prod(args[1].shape[2:]) > 1 else length
    n = _summed(op, args, out)
    if n == 1 or not tensors:
        return 1.0
    if any(k in op for k in (*_NORMS, "softmax", "var", "std")):
        lines = _lines(tensors[0], args[1] if "softmax" in op else -1, n)
        return max(_one_sign(n), EQUAL * n * _equal(lines))
    same = EQUAL * n * _equal(tensors[0].reshape(1, -1), skip=_short)
    return max(_one_sign(n * max(map(_filled, tensors))), same)


def _one_sign(n: float) -> float:
    """Half units in the last place that the order of n additions of one sign may cost, a plain one too."""
    return max(1.0, 0.1 * math.sqrt(n), LONG * n)


def _typical(out: torch.Tensor) -> float:
    """The root mean square. What a norm scales and shifts in one operator may cancel; its error is that of its moments."""
    norm = float(torch.linalg.vector_norm(out, dtype=torch.float64))
    return norm / math.sqrt(out.numel()) if math.isfinite(norm) else 0.0


def _factors(op: str, tensors: Sequence[torch.Tensor]) -> tuple[int, Sequence[torch.Tensor]]:
    """How many products go into one element, and the tensors that are multiplied."""
    if op == "convolution":
        return tensors[1][0].numel(), tensors[:2]
    if "attention" in op:
        return tensors[1].shape[-2], tensors[1:3]
    operands = tensors[OPERANDS[op] :][:2]
    return operands[0].shape[-1], operands


def _summed(op: str, args: Any, out: torch.Tensor) -> int:
    """How many elements go into one, more narrowly than `reduced`."""
    if "softmax" in op:
        return int(args[0].shape[args[1]]) if args[0].dim() else 1
    if "layer_norm" in op:
        return math.prod(args[1])
    if "group_norm" in op and len(args) > 6:
        return int(args[4] * args[5] // max(1, args[6]))
    if "batch_norm" in op and ("no_training" in op or (len(args) > 5 and not args[5])):
        return 1  # with moments that it was given
    return reduced(f"aten.{op}", args, out)


def _filled(t: torch.Tensor) -> float:
    """The share of elements that are not zero."""
    return int(torch.count_nonzero(t)) / t.numel()


def _lines(x: torch.Tensor, dim: int, n: int) -> torch.Tensor:
    """Rows of the `n` elements that belong together, along `dim` or the last ones; without rows that are all equal (what they give is
    exact)."""
    rows = x.movedim(dim, -1) if x.dim() else x
    rows = rows.reshape(-1, n) if x.numel() % n == 0 else rows.reshape(1, -1)
    return rows[(rows != rows[:, :1]).any(1)]


def _equal(rows: torch.Tensor, skip: Callable[[torch.Tensor], torch.Tensor] | None = None) -> float:
    """The share of elements that equal the one before, without those to `skip`."""
    same = rows[:, 1:] == rows[:, :-1]
    if skip is not None:
        same &= ~skip(rows[:, 1:])
    return int(torch.count_nonzero(same)) / max(1, rows.numel())


def _short(x: torch.Tensor) -> torch.Tensor:
    """Zeros, and values of so few bits (powers of two, small integers) that thousands are added exactly; also as perturbed."""
    return ((x.float().contiguous().view(torch.int32) + 8) & 0xFFF) <= 16
