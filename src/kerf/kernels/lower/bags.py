"""Sums over bags of embedding rows (torch.nn.EmbeddingBag) whose bags are equally long."""

from __future__ import annotations

from collections.abc import Sequence

from kerf.kernels.ir import Affine, DType, Expr, Index, affine, apply, const_index
from kerf.kernels.lower.reductions import scaled
from kerf.kernels.lower.registry import Context, cast, lowers
from kerf.kernels.lower.values import Indices, Value

_KINDS = ("sum", "sum", "max")  # by torch's numbers of sum, mean and max


@lowers("embedding_bag.padding_idx")
def _embedding_bag(
    c: Context,
    weight: Value,
    indices: Value,
    offsets: Value,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    weights: Value | None = None,
    include_last_offset: bool = False,
    padding: int | None = None,
) -> Sequence[Value]:
    """As a gather and a reduction, as 2-d indices give it; LookupError for bags of other lengths, which stay a library call."""
    length = indices.size // max(1, c.shape[0])
    if include_last_offset or padding is not None or not _is_regular(offsets, length, indices.size):
        raise LookupError("bags of different lengths, or entries left out")
    if any(n.args[1] != 0 for n in c.node.users):
        raise LookupError("what else the library returns is wanted")
    rows = _gathered(c, weight, indices, weights, length)
    bags = c.builder.reduce(_KINDS[mode], rows, [1], c.dtype)
    return [scaled(c, bags, 1 / length) if mode == 1 else bags]


def _is_regular(offsets: Value, length: int, total: int) -> bool:
    starts = affine(offsets.at((Index("i0"),))) if offsets.rank == 1 else None
    regular = length > 0 and offsets.size * length == total
    return regular and (starts == Affine(0, {"i0": length}) or (total == length and starts == Affine(0, {})))


def _gathered(c: Context, weight: Value, indices: Value, weights: Value | None, length: int) -> Value:
    """weight[indices], times the entries' own weights, with shape (bags, length, features)."""
    source = c.builder.reusable(weight)

    def at(index: Indices) -> Expr:
        place = (apply("add", apply("mul", index[0], const_index(length)), index[1]),)
        row = source.at((cast(indices.at(place), DType.I64), index[2]))
        return row if weights is None else apply("mul", row, weights.at(place))

    return Value((c.shape[0], length, c.shape[1]), c.dtype, at, hint=c.builder.hint)
