"""torch's functions that look at values before they compute, without the look: a fixed graph cannot."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def unquestioned() -> Iterator[None]:
    """While this is open, the Gaussian loss does not ask whether a variance is negative: where torch would refuse, the result is NaN."""
    original = torch.nn.functional.gaussian_nll_loss
    torch.nn.functional.gaussian_nll_loss = _gaussian_nll
    try:
        yield
    finally:
        torch.nn.functional.gaussian_nll_loss = original


def _gaussian_nll(
    input: torch.Tensor,
    target: torch.Tensor,
    var: torch.Tensor | float,
    full: bool | None = False,
    eps: float | None = 1e-6,
    reduction: str | None = "mean",
) -> torch.Tensor:
    """0.5 (log v + (x - t)^2 / v) with v = max(var, eps), plus 0.5 log(2 pi) where `full` (Nix and Weigend 1994, as torch has it)."""
    given = var if isinstance(var, torch.Tensor) else torch.full_like(input, var)
    if given.shape == input.shape[:-1]:
        given = given.unsqueeze(-1)
    v = torch.where(given < 0, torch.nan, given.clamp(min=eps))
    loss = 0.5 * (torch.log(v) + (input - target) ** 2 / v)
    loss = loss + 0.5 * math.log(2 * math.pi) if full else loss
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss
