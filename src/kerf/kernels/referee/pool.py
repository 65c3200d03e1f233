"""Shared memory that the evaluator owns: values go in at unpredictable places, outputs are poisoned and fenced."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import random
from collections.abc import Sequence
from typing import Any

import torch

from kerf.kernels.referee.protocol import Spec, span_bytes, spec, tensor_at
from kerf.kernels.tensors import inverse

ALIGN, PAGE = 64, 4096
FENCE = 4096  # bytes on either side of an output that must stay as they were
NAN_BYTE, ODD_BYTES = 0xFF, (0x77, 0x91, 0xB3, 0x5D)  # poison: NaN in every float; no bool, no likely integer
F_ADD_SEALS, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_FUTURE_WRITE = 1033, 2, 4, 16


class Pool:
    """A memfd. `sealed`: whoever maps it after this cannot write to it, whatever they try. `orders`: how the tensors lie in it, if not
    contiguous (see `Package`)."""

    def __init__(self, size: int, *, sealed: bool, orders: Sequence[Sequence[int]] = ()) -> None:
        self.orders = orders
        self.size = -(-max(size, PAGE) // PAGE) * PAGE
        self.fd = os.memfd_create("pool", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, self.size)
        self.memory = mmap.mmap(self.fd, self.size, flags=mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0))
        self.bytes = torch.frombuffer(self.memory, dtype=torch.uint8)
        self.address = self.bytes.data_ptr()
        self.sealed = sealed and self._seal()

    def _seal(self) -> bool:
        fcntl.fcntl(self.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)
        try:
            fcntl.fcntl(self.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)
        except OSError:
            return False
        return True

    def fill(self, start: int, stop: int, byte: int) -> None:
        """By memset, not by torch: its threads would wait for each other on a busy machine."""
        ctypes.memset(self.address + start, byte, stop - start)

    def holds(self, start: int, stop: int, byte: int) -> bool:
        return self.memory[start:stop] == bytes([byte]) * (stop - start)

    def put(self, place: Spec, value: torch.Tensor) -> None:
        if value.is_contiguous():
            ctypes.memmove(self.address + place[1], value.data_ptr(), value.numel() * value.element_size())
        else:
            self.tensor(place).copy_(value)

    def tensor(self, place: Spec) -> torch.Tensor:
        return tensor_at(self.memory, place)

    def close(self) -> None:
        os.close(self.fd)


def laid_out(like: Sequence[torch.Tensor], orders: Sequence[Sequence[int]]) -> Sequence[torch.Tensor]:
    """Tensors of the same shapes (without values) whose dimensions lie in these orders, one for each tensor; no orders: as they are."""
    return [
        torch.empty([t.shape[d] for d in o], dtype=t.dtype).permute(inverse(o)) if o else t
        for t, o in zip(like, orders or [()] * len(like), strict=True)
    ]


def room(tensors: Sequence[torch.Tensor]) -> int:
    """Bytes for one set of tensors with fences and alignment."""
    return sum(-(-span_bytes(t) // ALIGN) * ALIGN + 2 * FENCE for t in tensors) + FENCE


def slack(size: int) -> int:
    """How much larger than one set a pool is, so that places vary."""
    return min(max(size, 1 << 16), 16 << 20)


def scatter(tensors: Sequence[torch.Tensor], start: int, stop: int, rng: random.Random) -> list[int]:
    """Offsets in [start, stop), 64-byte aligned, in random order with random gaps, each with a fence's distance from the next."""
    order = list(range(len(tensors)))
    rng.shuffle(order)
    free = (stop - start - room(tensors)) // ALIGN
    cuts = sorted(rng.randint(0, max(free, 0)) for _ in order)
    offsets, here, used = [0] * len(order), start + FENCE, 0
    for i, cut in zip(order, cuts):
        here += (cut - used) * ALIGN
        used, offsets[i] = cut, here
        here += -(-span_bytes(tensors[i]) // ALIGN) * ALIGN + 2 * FENCE
    return offsets


def write_arguments(pool: Pool, args: Sequence[Any], offsets: Sequence[int]) -> list[Spec]:
    """Copy the tensors among `args` to their places; the specs of all of them."""
    places, left = [], iter(offsets)
    for value in args:
        place = spec(value, next(left) if isinstance(value, torch.Tensor) else 0)
        if place[0] == "t" and value.numel():
            pool.put(place, value)
        places.append(place)
    return places


class Outputs:
    """The outputs of one call in a pool: poisoned, with fences of a pattern that differs from call to call."""

    def __init__(
        self, pool: Pool, like: Sequence[torch.Tensor], offsets: Sequence[int], rng: random.Random
    ) -> None:
        self.pool, self.like = pool, like
        self.places = [spec(t, o) for t, o in zip(like, offsets)]
        self.pattern = rng.randrange(1, 255)
        self.spans = [(o, o + span_bytes(t)) for t, o in zip(like, offsets)]
        for t, (a, b) in zip(like, self.spans):
            pool.fill(a - FENCE, a, self.pattern)
            pool.fill(b, b + FENCE, self.pattern)
            pool.fill(a, b, NAN_BYTE if t.is_floating_point() or t.is_complex() else rng.choice(ODD_BYTES))

    def fences_intact(self) -> bool:
        held = self.pool.holds
        return all(
            held(a - FENCE, a, self.pattern) and held(b, b + FENCE, self.pattern) for a, b in self.spans
        )

    def read(self) -> list[torch.Tensor]:
        """Views of the results, valid until the pool is used again: whoever wrote them is stopped."""
        return [self.pool.tensor(p) for p in self.places]
