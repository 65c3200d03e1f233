"""Tensors in what modules take and return."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch


def flat_tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in a nest of tuples, lists and dicts, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from flat_tensors(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from flat_tensors(item)


def by_stride(tensor: torch.Tensor) -> tuple[int, ...]:
    """Its dimensions from the outermost in memory to the innermost."""
    dims = range(tensor.dim())
    return tuple(sorted(dims, key=lambda d: (tensor.stride(d), tensor.shape[d]), reverse=True))


def memory_order(tensor: torch.Tensor) -> tuple[int, ...]:
    """The same, if that is not their own order and leaves no gaps (channels last, a transposed matrix); else ()."""
    order = by_stride(tensor)
    return order if not tensor.is_contiguous() and tensor.permute(order).is_contiguous() else ()


def inverse(order: Sequence[int]) -> list[int]:
    """The permutation that undoes `order`."""
    return [order.index(d) for d in range(len(order))]


def nbytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
