"""Torch's operators, watched or changed one by one while a module runs."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class OperatorMode(TorchDispatchMode):
    """A dispatch mode as ours are: of eager calls. Torch wraps a mode's `__torch_dispatch__` so that `torch.compile` leaves it alone,
    and the wrapper's first call imports the compiler (torch._dynamo, sympy: 0.8 s of CPU time, and processes that a sandboxed
    worker may not start). Nothing here is called by compiled code, so the wrapper is declined."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
