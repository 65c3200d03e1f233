"""Operators whose shapes torch.export cannot tell though nobody reads what depends on data in them: least squares (the residuals), CTC (its
table of paths). While a module is captured they stand in the graph as opaque twins, which lowering turns back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from kerf.kernels.dispatch import instead

Shape = tuple[int, ...]


def _define() -> torch.library.Library:
    library = torch.library.Library("kerf", "FRAGMENT")
    library.define("lstsq(Tensor a, Tensor b, float? rcond, str? driver) -> (Tensor, Tensor, Tensor, Tensor)")
    library.define(
        "ctc_loss(Tensor log_probs, Tensor targets, Tensor lengths, Tensor target_lengths, int blank, int reduction, bool zero_infinity)"
        " -> Tensor"
    )
    library.impl("lstsq", _lstsq, "CompositeExplicitAutograd")
    library.impl("ctc_loss", torch.ops.aten.ctc_loss.Tensor, "CompositeExplicitAutograd")
    torch.library.register_fake("kerf::lstsq", _lstsq_shapes, lib=library)
    torch.library.register_fake("kerf::ctc_loss", _ctc_shape, lib=library)
    return library


def _lstsq(a: torch.Tensor, b: torch.Tensor, rcond: float | None, driver: str | None) -> Any:
    return tuple(torch.ops.aten.linalg_lstsq.default(a, b, rcond, driver=driver))


def _lstsq_shapes(
    a: torch.Tensor, b: torch.Tensor, rcond: float | None, driver: str | None
) -> tuple[torch.Tensor, ...]:
    """Solution, residuals as if the rank were full, rank, singular values; the drivers leave out some of them (LAPACK's gels looks at no
    rank, gelsy, which is torch's choice, at no singular values)."""
    *_, rows, columns = a.shape
    vector = b.dim() == a.dim() - 1
    batch = tuple(torch.broadcast_shapes(a.shape[:-2], b.shape[: -1 if vector else -2]))
    sides: Shape = () if vector else (int(b.shape[-1]),)
    ranked, valued = driver != "gels", driver in ("gelsd", "gelss")
    return (
        a.new_empty((*batch, columns, *sides)),
        a.new_empty((*batch, *sides) if rows > columns and driver in ("gels", "gelsd", "gelss") else (0,)),
        a.new_empty(a.shape[:-2] if ranked else (0,), dtype=torch.int64),
        a.new_empty((*a.shape[:-2], min(rows, columns)) if valued else (0,)),
    )


def _ctc_shape(
    log_probs: torch.Tensor,
    targets: Any,
    lengths: Any,
    target_lengths: Any,
    blank: int,
    reduction: int,
    *_: Any,
) -> torch.Tensor:
    return log_probs.new_empty((log_probs.shape[1],) if reduction == 0 and log_probs.dim() == 3 else ())


_LIBRARY = _define()


@contextmanager
def twins() -> Iterator[None]:
    """While this is open, torch calls the twins."""
    with instead(torch.linalg, "lstsq", _least_squares), instead(torch, "ctc_loss", _classification):
        yield


def _least_squares(
    A: torch.Tensor, B: torch.Tensor, rcond: float | None = None, *, driver: str | None = None
) -> Any:
    made = torch.ops.kerf.lstsq(A, B, rcond, driver)
    return torch.return_types.linalg_lstsq(made)  # type: ignore[attr-defined]


def _classification(
    log_probs: torch.Tensor, targets: torch.Tensor, input_lengths: Any, target_lengths: Any, *how: Any
) -> Any:
    given = [n if isinstance(n, torch.Tensor) else torch.tensor(n) for n in (input_lengths, target_lengths)]
    return torch.ops.kerf.ctc_loss(log_probs, targets, *given, *how)
