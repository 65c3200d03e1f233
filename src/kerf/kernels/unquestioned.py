"""torch's functions that look at values before they compute, without the look: a fixed graph cannot."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import combinations, combinations_with_replacement
from typing import Any

import torch

from kerf.kernels.dispatch import instead


@contextmanager
def unquestioned() -> Iterator[None]:
    """While this is open, the Gaussian loss does not ask whether a variance is negative (where torch would refuse, the result is NaN), nor
    a covariance whether its degrees of freedom are (where torch warns, it has infinities too), nor distributions whether parameters and
    values lie where they are defined (as under `python -O`; those made with validate_args=True still do)."""
    with ExitStack() as replaced:
        for owner, name, fn in _UNQUESTIONING:
            replaced.enter_context(instead(owner, name, fn))
        if distributions := sys.modules.get("torch.distributions"):
            replaced.enter_context(instead(distributions.Distribution, "_validate_args", False))
        yield


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


def _cov(
    input: torch.Tensor,
    *,
    correction: int = 1,
    fweights: torch.Tensor | None = None,
    aweights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Covariance of variables (rows) over observations (columns) that count as often as `fweights` says and as much as `aweights`."""
    x = input if input.is_floating_point() or input.is_complex() else input.to(torch.get_default_dtype())
    x = x.reshape(1, -1) if x.dim() < 2 else x
    counts = [w for w in (fweights, aweights) if w is not None]
    if not counts:
        weights, total, mean = None, x.real.new_tensor(x.shape[1]), x.mean(1, keepdim=True)
    else:
        weights = counts[0] * counts[1] if len(counts) == 2 else counts[0]
        total = weights.sum()
        mean = (x * weights).sum(1, keepdim=True) / total
    lost = (
        correction if aweights is None or weights is None else correction * (weights * aweights).sum() / total
    )
    centered = x - mean
    made = centered @ (centered if weights is None else centered * weights).mH / (total - lost).clamp(min=0)
    return made.squeeze()


def _corrcoef(input: torch.Tensor) -> torch.Tensor:
    """Covariances over the product of both standard deviations, held between -1 and 1."""
    made = _cov(input)
    if made.dim() == 0:
        return made / made
    deviation = made.diagonal().sqrt()
    return (made / deviation[:, None] / deviation).clamp(-1, 1)


def _combinations(input: torch.Tensor, r: int = 2, with_replacement: bool = False) -> torch.Tensor:
    """Every choice of r elements, in order: torch finds them by a mask, whose count a graph cannot know."""
    chosen = (combinations_with_replacement if with_replacement else combinations)(range(len(input)), r)
    return input[torch.tensor(list(chosen), dtype=torch.int64).reshape(-1, r)]


_UNQUESTIONING: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
    (torch.nn.functional, "gaussian_nll_loss", _gaussian_nll),
    (torch, "cov", _cov),
    (torch.Tensor, "cov", _cov),
    (torch, "corrcoef", _corrcoef),
    (torch.Tensor, "corrcoef", _corrcoef),
    (torch, "combinations", _combinations),
)
