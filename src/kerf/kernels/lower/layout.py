"""In which order the dimensions of values lie in memory, so that kernels run along it and results lie as the original's do."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kerf.kernels.ir import Buffer, Index, Load, affine, linear, loads, walk
from kerf.kernels.lower.values import Builder, Value, probe, stored
from kerf.kernels.lower.views import permuted
from kerf.kernels.tensors import by_stride, inverse, memory_order


def order_of(tensor: object) -> tuple[int, ...]:
    """The dimensions from the outermost in memory to the innermost, if that is not their own order and leaves no gaps. Of complex numbers
    the two parts are innermost, as one more."""
    order = memory_order(tensor) if isinstance(tensor, torch.Tensor) else ()
    return (*order, len(order)) if order and tensor.is_complex() else order  # type: ignore[attr-defined]


def read_order(tensor: torch.Tensor) -> tuple[int, ...]:
    """The same of a tensor that may have gaps between runs along another dimension than its last (some of the channels of an image whose
    channels lie side by side): copied without them it lies so. () where elements are repeated."""
    if tensor.is_contiguous() or tensor.is_complex() or 0 in tensor.stride():
        return ()
    order = by_stride(tensor)
    return memory_order(tensor) if order[-1] == tensor.dim() - 1 else order


def laid(buffer: Buffer, order: Sequence[int]) -> Value:
    """The contents of a buffer whose dimensions are those of a value in the order `order`; () for its own."""
    return permuted(stored(buffer), inverse(order)) if order else stored(buffer)


def runs_along(builder: Builder, value: Value, d: int) -> bool:
    """Does memory run along dimension d in everything large that a value is computed from?"""
    read = [(n, builder.buffers[n.buffer]) for n in loads(value.at(probe(value.rank)))]
    largest = max((b.size for _, b in read), default=0)
    return bool(read) and all(_steps_along(n, b, f"i{d}") for n, b in read if 2 * b.size >= largest)


def _steps_along(load: Load, buffer: Buffer, axis: str) -> bool:
    """Is the next element along `axis` the next in memory (of complex numbers, the same part of the next), wherever the other loop
    variables are?"""
    form = linear(load, buffer)
    if form is not None:
        return form.of(axis) in ((1, 2) if buffer.pairs else (1,))
    last = affine(load.index[-1])
    elsewhere = {e for index in load.index[:-1] for e in walk(index)}
    return last is not None and last.of(axis) == 1 and Index(axis) not in elsewhere


def settle(builder: Builder, value: Value) -> None:
    """Give a value memory in the order in which memory runs through what it is computed from, where that is not its own; every holder of
    it sees that."""
    order = source_order(builder, value)
    if not order:
        return
    kept = permuted(builder.realize(permuted(value, order)), inverse(order))
    value.at, value.reshape_to, value._cost = kept.at, kept.reshape_to, None


def source_order(builder: Builder, value: Value) -> tuple[int, ...]:
    """The dimensions of a value as they lie, outermost first, in the largest buffer that it is computed from; () for their own order, or
    where memory does not run along one of them everywhere."""
    read = [(n, builder.buffers[n.buffer]) for n in loads(value.at(probe(value.rank)))]
    load, buffer = max(read, key=lambda pair: pair[1].size, default=(None, None))
    form = linear(load, buffer) if load is not None and buffer is not None else None
    if form is None or buffer is None or buffer.size < value.size:
        return ()
    order = tuple(sorted(range(value.rank), key=lambda d: -form.of(f"i{d}")))
    plain = order == tuple(range(value.rank)) or not runs_along(builder, value, order[-1])
    return () if plain else order


def found(builder: Builder, value: Value, order: Sequence[int]) -> Buffer | None:
    """The buffer that holds a value, with its dimensions in the order `order` and nothing else."""
    here = probe(value.rank)
    load = value.at(here)
    if not isinstance(load, Load) or load.index != tuple(here[d] for d in order):
        return None
    buffer = builder.buffers[load.buffer]
    whole = buffer.shape == tuple(value.shape[d] for d in order) and buffer.dtype is value.dtype
    return buffer if whole else None
