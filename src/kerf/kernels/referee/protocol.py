"""Messages between the evaluator and its workers, over a SOCK_SEQPACKET pair.

To a worker: pickled dicts, from trusted code. From a worker: JSON, bounded, and only ever taken as "returned" or "failed"; nothing it
says is evidence."""

from __future__ import annotations

import json
import pickle
import socket
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

MAX_REPLY = 1 << 16
MAX_MESSAGE = 4 << 20
Spec = tuple[Any, ...]  # ("t", pool offset, shape, strides, dtype name) or ("v", value)


@dataclass(frozen=True)
class Fds:
    """What a worker is given: its socket and the pools."""

    inputs: int
    outputs: int
    params: int


def pair() -> tuple[socket.socket, socket.socket]:
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (a, b):
        for which in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, which, MAX_MESSAGE)
    return a, b


def send(to: socket.socket, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds))] if fds else []
    to.sendmsg([pickle.dumps(message)], ancillary)


def receive(source: socket.socket, fds: int = 0) -> tuple[dict[str, Any] | None, list[int]]:
    """The next message (None at the end) and the file descriptors with it. For the trusted direction only: it unpickles."""
    data, ancillary, _, _ = source.recvmsg(MAX_MESSAGE, socket.CMSG_SPACE(4 * fds) if fds else 0)
    got = array("i")
    for _, _, payload in ancillary:
        got.frombytes(payload[: len(payload) - len(payload) % 4])
    return (pickle.loads(data) if data else None), list(got)


def answer(to: socket.socket, message: dict[str, Any]) -> None:
    to.send(json.dumps(message).encode()[:MAX_REPLY])


def read_answer(source: socket.socket) -> dict[str, Any] | None:
    """A worker's answer as a flat dict of plain values; None when the worker is gone or talks nonsense."""
    try:
        data = source.recv(MAX_REPLY)
        found = json.loads(data) if data else None
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def spec(value: Any, offset: int = 0) -> Spec:
    """How a worker finds an argument: in the pool at `offset`, or the plain value itself."""
    if isinstance(value, torch.Tensor):
        return (
            "t",
            offset,
            tuple(value.shape),
            tuple(value.stride()),
            str(value.dtype).removeprefix("torch."),
        )
    return ("v", value)


def span_bytes(value: torch.Tensor) -> int:
    """Bytes from the first to the last element, holes included."""
    if value.numel() == 0:
        return 0
    reach = sum((n - 1) * s for n, s in zip(value.shape, value.stride()))
    return int(reach + 1) * value.element_size()


def tensor_at(memory: Any, place: Spec) -> torch.Tensor:
    """The tensor of a spec, as a view of `memory` (a buffer)."""
    _, offset, shape, strides, name = place
    dtype = getattr(torch, name)
    count = 1 + sum((n - 1) * s for n, s in zip(shape, strides))
    if 0 in shape:
        return torch.empty(shape, dtype=dtype)
    flat = torch.frombuffer(memory, dtype=dtype, count=count, offset=offset)
    return flat.as_strided(shape, strides)
