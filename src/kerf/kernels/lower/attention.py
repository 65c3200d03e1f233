"""Attention: PyTorch's fused op, and the chain of matmul, scale, mask, softmax (or relu), matmul that people write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, prod
from typing import Any

import torch

from kerf.kernels.ir import Attention, DType, apply
from kerf.kernels.lower.registry import Context, lowers
from kerf.kernels.lower.values import Value, stored
from kerf.kernels.lower.views import expanded, view


@lowers("scaled_dot_product_attention")
def _sdpa(
    c: Context, q: Value, k: Value, v: Value, mask: Value | None = None, dropout: float = 0.0, is_causal: bool = False, *,
    scale: float | None = None, enable_gqa: bool = False,
) -> Value:  # fmt: skip
    if not q.shape[-1] or q.rank < 2:
        raise LookupError("attention over no features")
    return _fused(c, q, k, v, mask, scale, is_causal)


@lowers("_scaled_dot_product_flash_attention_for_cpu")
def _flash(
    c: Context,
    q: Value,
    k: Value,
    v: Value,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    attn_mask: Any = None,
    scale: Any = None,
) -> Any:
    return _fused(c, q, k, v, attn_mask, scale, is_causal), None


def _fused(
    c: Context, q: Value, k: Value, v: Value, mask: Value | None, scale: float | None, causal: bool
) -> Value:
    """PyTorch's own attention: where a mask may hide every key of a row, that row is 0."""
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    return attention(c, q, k, v, mask, factor, causal, "softmax" if mask is None else "safe_softmax")


def attention(
    c: Context,
    q: Value,
    k: Value,
    v: Value,
    mask: Value | None,
    scale: float,
    causal: bool = False,
    weighting: str = "softmax",
) -> Value:
    """Emit Attention for (..., L, E) operands with equal leading dimensions (heads may be shared: grouped queries)."""
    lead = q.shape[:-2]
    shape = (*lead, q.shape[-2], v.shape[-1])
    q4, k4, v4 = (c.builder.plain(_four(c, x), name) for x, name in ((q, "q"), (k, "k"), (v, "v")))
    m4 = None if mask is None else c.builder.plain(_mask(c, mask, q.shape), "mask")
    heads = _heads(lead)
    out = c.builder.temp((*heads, q.shape[-2], v.shape[-1]), c.dtype)
    c.builder.ops.append(Attention(out, q4, k4, v4, m4, float(scale), causal, weighting))
    return stored(out, shape)


def _heads(lead: tuple[int, ...]) -> tuple[int, int]:
    """(batch, heads): the last leading dimension is heads, the others are merged."""
    return (lead[0], 1) if len(lead) == 1 else (prod(lead[:-1]), lead[-1] if lead else 1)


def _four(c: Context, x: Value) -> Value:
    return c.reshape(x, (*_heads(x.shape[:-2]), *x.shape[-2:]))


def _mask(c: Context, mask: Value, q_shape: tuple[int, ...]) -> Value:
    """Four dimensions that broadcast to (B, H, L, S)."""
    lead = (1,) * (len(q_shape) - mask.rank) + mask.shape
    if len(q_shape) == 4:
        return c.reshape(mask, lead)
    batch = tuple(q_shape[:-2])
    whole = lead if all(n == 1 for n in lead[:-2]) else (*batch, *lead[-2:])
    return _four(c, expanded(c, c.reshape(mask, lead), whole))


# ---------------------------------------------------------------- recognizing the chain


@dataclass
class _Scores:
    """What was found between the scores and their weighting: scale, added or boolean masks."""

    scale: float = 1.0
    mask: Value | None = None


def _op(node: Any) -> str:
    return str(node.target) if isinstance(node, torch.fx.Node) and node.op == "call_function" else ""


_SKIPPED = (
    "aten.clone.default",
    "aten.alias.default",
    "aten.detach.default",
    "aten.dropout.default",
    "aten.contiguous.default",
)


def _through(node: Any) -> Any:
    while _op(node) in _SKIPPED or (
        _op(node) in ("aten.expand.default", "aten.view.default") and _same_shape(node)
    ):
        node = node.args[0]
    return node


def _same_shape(node: torch.fx.Node) -> bool:
    return tuple(node.meta["val"].shape) == tuple(node.args[0].meta["val"].shape)  # type: ignore[union-attr]


def recognized(c: Context, weights: Value, v: Value) -> Value | None:
    """Attention for the matmul being lowered, if its left side is softmax or relu of masked, scaled scores."""
    if v.rank < 2 or v.rank != weights.rank or not isinstance(c.node.args[0], torch.fx.Node):
        return None
    node = _through(c.node.args[0])
    weighting = _weighting(node)
    if weighting is None or len(node.users) > 1:
        return None
    found = _Scores()
    scores = _peeled(c, _through(node.args[0]), found)
    if scores is None or _op(scores) not in ("aten.matmul.default", "aten.bmm.default"):
        return None
    q, kt = (c.value_of(a) for a in scores.args[:2])  # type: ignore[arg-type]
    if q.rank != v.rank or kt.rank != v.rank or q.shape[:-2] != kt.shape[:-2] or q.shape[:-2] != v.shape[:-2]:
        return None
    if found.mask is not None and weighting == "relu" and found.mask.dtype is not DType.BOOL:
        return None
    k = view(kt, (*kt.shape[:-2], kt.shape[-1], kt.shape[-2]), lambda i: (*i[:-2], i[-1], i[-2]))
    return attention(c, q, k, v, found.mask, found.scale, weighting=weighting)


def _weighting(node: Any) -> str | None:
    if _op(node) in ("aten.softmax.int", "aten._softmax.default") and node.args[1] in (
        -1,
        node.meta["val"].ndim - 1,
    ):
        return "softmax"
    return "relu" if _op(node) == "aten.relu.default" and node.meta["val"].ndim >= 3 else None


def _peeled(c: Context, node: Any, found: _Scores) -> torch.fx.Node | None:
    """Walk from the weighting's input down to the score matmul, noting scale and masks on the way. An added mask
    met after (above) a scaling by s acts as mask; below one, it would be scaled too, so nothing may follow it."""
    steps: dict[str, Callable[[Context, torch.fx.Node, _Scores], bool]] = {
        "aten.mul.Tensor": _scaling, "aten.div.Tensor": _scaling, "aten.masked_fill.Scalar": _filling, "aten.add.Tensor": _adding,
    }  # fmt: skip
    while _op(node) in steps and len(node.users) == 1:
        if not steps[_op(node)](c, node, found):
            return None
        node = _through(node.args[0])
    return node if isinstance(node, torch.fx.Node) and len(node.users) == 1 else None


def _scaling(c: Context, node: torch.fx.Node, found: _Scores) -> bool:
    factor = node.args[1]
    if isinstance(factor, torch.fx.Node):
        value = c.values.get(factor)
        factor = value.constant if isinstance(value, Value) else None
    if not isinstance(factor, int | float) or factor == 0:
        return False
    found.scale *= 1 / factor if "div" in _op(node) else factor
    return True


def _filling(c: Context, node: torch.fx.Node, found: _Scores) -> bool:
    """masked_fill(scores, m, -inf) keeps where m is False. -inf stays -inf under positive scales."""
    if node.args[2] not in (-inf,) or found.mask is not None or found.scale < 0:
        return False
    blocked = c.value_of(node.args[1])  # type: ignore[arg-type]
    found.mask = c.builder.pointwise(lambda e: apply("not", e), [blocked], DType.BOOL)
    return True


def _adding(c: Context, node: torch.fx.Node, found: _Scores) -> bool:
    """scores + mask: only directly under the softmax, where no scale multiplies the mask."""
    other = node.args[1]
    if not isinstance(other, torch.fx.Node) or found.mask is not None or found.scale != 1.0:
        return False
    found.mask = c.value_of(other)
    return found.mask.dtype.is_float and found.mask.rank >= 2
