"""What has no lowering stays a call into PyTorch on stored buffers, so that the whole program still works."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from kerf.kernels.ir import Buffer, Library, Load, Ref, linear
from kerf.kernels.lower.complex_values import Complex, lying, of_pairs, pairs_of, part_type
from kerf.kernels.lower.layout import laid, order_of
from kerf.kernels.lower.registry import Context, dtype_of
from kerf.kernels.lower.values import Value, probe
from kerf.kernels.tensors import flat_tensors


def keep(c: Context, args: Any, kwargs: dict[str, Any]) -> Any:
    """Emit a Library op for the node; its results in the node's own structure. Complex tensors are pairs of reals in memory."""
    target = str(c.node.target)
    if target.startswith("kerf."):
        target = f"aten.{target.split('.')[1]}.input"
    return call(c, target, args, kwargs)


def call(c: Context, target: str, args: Any, kwargs: dict[str, Any], like: Any = None) -> Any:
    """The same with any overload; `like`: tensors as it gives them, where these are not what the node gives."""
    like = c.node.meta["val"] if like is None else like
    args, empty = _values_alone(c, target, args)
    outs = tuple(_made(c, t, k in empty) for k, t in enumerate(flat_tensors(like)))
    options = tuple((k, _argument(c, v)) for k, v in kwargs.items())
    c.builder.ops.append(Library(outs, target, _argument(c, args), options))
    values = [of_pairs(laid(b, b.order)) if b.pairs else laid(b, b.order) for b in outs]
    return values if isinstance(like, tuple | list) else values[0]


# Which of their results are values, and their second argument by default; the third asks for vectors.
_DECOMPOSED: dict[str, tuple[int, Any]] = {
    "aten._linalg_svd.default": (1, False),
    "aten._linalg_eigh.default": (0, "L"),
}


def _values_alone(c: Context, target: str, args: Any) -> tuple[Any, set[int]]:
    """Singular values and eigenvalues without the vectors where nothing reads these (tracing asks for them whatever the module wants, and
    they take longer); and which results are then empty."""
    values, usual = _DECOMPOSED.get(target, (0, None))
    if target not in _DECOMPOSED or any(user.args[1] != values for user in c.node.users):
        return args, set()
    return (*(*args, usual)[:2], False), {k for k in range(len(c.outs)) if k != values}


def _made(c: Context, like: torch.Tensor, empty: bool) -> Buffer:
    """A result as the library lays it in memory."""
    pairs, order = like.is_complex(), () if empty else order_of(like)
    shape = ((0,) if empty else tuple(like.shape)) + (2,) * pairs
    buffer = c.builder.temp(
        tuple(shape[d] for d in order) or shape, part_type(like.dtype) or dtype_of(like.dtype)
    )
    c.builder.buffers[buffer.name] = replace(buffer, order=order, pairs=pairs)
    return c.builder.buffers[buffer.name]


def _argument(c: Context, x: Any) -> Any:
    if isinstance(x, Value):
        return _view(c, x) or Ref(c.builder.plain(x, "arg"))
    if isinstance(x, Complex):
        return lying(c.builder, x) or Ref(c.builder.plain(pairs_of(x), "arg"), pairs=True)
    if isinstance(x, tuple | list):
        return tuple(_argument(c, item) for item in x)
    return x


def _view(c: Context, x: Value) -> Ref | None:
    """The value where it lies, if it is a buffer's elements at regular steps: a copy would cost time, and a repeated index its fast way."""
    here = probe(x.rank)
    value = x.at(here)
    if not isinstance(value, Load) or (x.buffer is not None and x.buffer.shape == x.shape):
        return None
    buffer = c.builder.buffers[value.buffer]
    form = linear(value, buffer) if buffer.dtype is x.dtype else None
    steps = tuple(form.of(f"i{d}") for d in range(x.rank)) if form is not None else ()
    if form is None or min(steps, default=0) < 0:  # no tensor runs backwards
        return None
    return Ref(buffer.name, (x.shape, steps, form.offset))
