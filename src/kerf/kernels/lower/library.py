"""What has no lowering stays a call into PyTorch on stored buffers, so that the whole program still works."""

from __future__ import annotations

from typing import Any

from kerf.kernels.ir import Library, Ref
from kerf.kernels.lower.registry import Context
from kerf.kernels.lower.values import Value, stored


def keep(c: Context, args: Any, kwargs: dict[str, Any]) -> Any:
    """Emit a Library op for the node; its results in the node's own structure."""
    target = str(c.node.target)
    if target.startswith("kerf."):
        target = f"aten.{target.split('.')[1]}.input"
    outs = tuple(c.builder.temp(shape, dtype) for shape, dtype in c.outs)
    options = tuple((k, _argument(c, v)) for k, v in kwargs.items())
    c.builder.ops.append(Library(outs, target, _argument(c, args), options))
    values = [stored(b) for b in outs]
    return values if isinstance(c.node.meta["val"], tuple | list) else values[0]


def _argument(c: Context, x: Any) -> Any:
    if isinstance(x, Value):
        return Ref(c.builder.plain(x, "arg"))
    if isinstance(x, tuple | list):
        return tuple(_argument(c, item) for item in x)
    return x
