"""Torch's operators, watched or changed one by one while a module runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


@contextmanager
def instead(owner: Any, name: str, value: Any) -> Iterator[None]:
    """While this is open, `owner` (a module of torch, a class) has this value for `name`."""
    own, original = name in vars(owner), getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own:
            setattr(owner, name, original)
        else:  # of a base class, as the methods of tensors are
            delattr(owner, name)


class OperatorMode(TorchDispatchMode):
    """A dispatch mode as ours are: of eager calls. Torch wraps a mode's `__torch_dispatch__` so that `torch.compile` leaves it alone,
    and the wrapper's first call imports the compiler (torch._dynamo, sympy: 0.8 s of CPU time, and processes that a sandboxed
    worker may not start). Nothing here is called by compiled code, so the wrapper is declined."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
