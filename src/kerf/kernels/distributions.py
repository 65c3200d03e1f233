"""Values for the inputs of a problem: named distributions that keep a contract.

Large tensors are filled by tiling one random block, each time from another offset and at another scale: values nearly as varied
as fresh ones at the speed of a copy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import torch

from kerf.kernels.contract import Rule

BLOCK = 1 << 18
_PARTS = {"complex64": "float32", "complex128": "float64"}
DENORMALS = 256
"""In a block, on average."""
LOGITS = (
    12.0  # probabilities are the softmax of logits within this bound, so that float32 keeps them positive
)
POSITIVE = 1e-6  # the smallest value drawn where a logarithm or a division needs a positive one


def draw_rule(rule: Rule, distribution: str, generator: torch.Generator) -> Any:
    """One argument under `rule`."""
    if rule.domain == "fixed" or not rule.is_tensor:
        return rule.value.clone() if isinstance(rule.value, torch.Tensor) else rule.value
    if rule.torch_dtype.is_complex:
        parts = replace(rule, dtype=_PARTS[rule.dtype], shape=(*rule.shape, 2), strides=None)
        values = torch.view_as_complex(draw_rule(parts, distribution, generator))
    else:
        values = _FILLERS.get(rule.domain, _reals)(rule, distribution, generator)
        values = _structured(values, rule, generator).to(rule.torch_dtype)
    if rule.strides is None:
        return values.contiguous()
    return torch.empty_strided(rule.shape, rule.strides, dtype=rule.torch_dtype).copy_(values)


# ---------------------------------------------------------------- blocks


def _normal(n: int, g: torch.Generator) -> torch.Tensor:
    return torch.randn(n, generator=g)


def _heavy(n: int, g: torch.Generator) -> torch.Tensor:
    """A normal whose scale is log-normal: a few values hundreds of times the median."""
    return (_normal(n, g) * torch.exp(1.5 * _normal(n, g))).clamp_(-1e4, 1e4)


def _large(n: int, g: torch.Generator) -> torch.Tensor:
    return _normal(n, g) * 100.0


def _tiny(n: int, g: torch.Generator) -> torch.Tensor:
    return _normal(n, g) * 1e-5


def _negative(n: int, g: torch.Generator) -> torch.Tensor:
    return -_normal(n, g).abs_() - 1e-3


def _zeros(n: int, g: torch.Generator) -> torch.Tensor:
    """Zeros of both signs, some ordinary values, and DENORMALS denormals.

    Few of them: where a chip takes denormal operands in microcode (Intel's do), a matrix product of 2048 rows with one denormal in six
    values takes half a minute."""
    kind, value = torch.randint(0, 6, (n,), generator=g), _normal(n, g)
    rare = torch.rand(n, generator=g) < 6 * DENORMALS / max(n, 1)
    kind = torch.where((kind == 3) & ~rare, 0, kind)
    return torch.where(
        kind < 2, 0.0, torch.where(kind == 2, -0.0, torch.where(kind == 3, value * 1e-40, value))
    )


def _spikes(n: int, g: torch.Generator) -> torch.Tensor:
    """Small values with one in about a thousand enormous."""
    spike = torch.rand(n, generator=g) < 1e-3
    return torch.where(spike, _normal(n, g) * 1e3, _normal(n, g) * 0.1)


def _repeated(n: int, g: torch.Generator) -> torch.Tensor:
    """Few distinct values, so that maxima tie."""
    return torch.randint(-3, 4, (n,), generator=g) * 0.75


_BLOCKS: dict[str, Callable[[int, torch.Generator], torch.Tensor]] = {
    "given": _normal, "normal": _normal, "heavy": _heavy, "large": _large, "tiny": _tiny, "negative": _negative,
    "zeros": _zeros, "mixed": _normal, "sparse": _normal, "spikes": _spikes, "repeated": _repeated,
}  # fmt: skip
_UNSCALED = ("repeated", "given")
FEWEST = 8  # values of a sparse tensor that are not zero, at least


def _tiled(shape: tuple[int, ...], distribution: str, generator: torch.Generator) -> torch.Tensor:
    n = prod(shape)
    block = _BLOCKS[distribution](min(n, BLOCK), generator)
    if n <= BLOCK:
        return block.reshape(shape)
    out, twice = torch.empty(n), torch.cat([block, block])
    for start in range(0, n, BLOCK):
        offset, u = (
            int(torch.randint(BLOCK, (), generator=generator)),
            float(torch.rand((), generator=generator)),
        )
        width = min(BLOCK, n - start)
        scale = 1.0 if distribution in _UNSCALED else 0.75 + 0.5 * u
        torch.mul(twice[offset : offset + width], scale, out=out[start : start + width])
    return out.reshape(shape)


def _sparse(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Zeros, and so few normal values that a sum over a dimension, or over the window of a convolution, has a term or some: in whatever
    order they are added, little is rounded, and what is left of an error is that of the values and their products."""
    n, sample = prod(shape), shape[1:] or shape
    line = max(*sample, math.isqrt(prod(sample)) if len(sample) > 1 else 1, shape[0] // 16)
    count = min(n, max(FEWEST, n // line))
    out = torch.zeros(n)
    out[torch.randint(0, n, (count,), generator=generator)] = _normal(count, generator)
    return out.reshape(shape)


# ---------------------------------------------------------------- domains


def _reals(rule: Rule, distribution: str, generator: torch.Generator) -> torch.Tensor:
    if distribution == "sparse" and prod(rule.shape) > FEWEST:
        return _sparse(rule.shape, generator)
    values = _tiled(rule.shape, distribution, generator)
    if distribution == "given":
        values = values * rule.scale + rule.loc
    if distribution == "mixed" and values.dim() > 0:
        rows = values.reshape(-1, values.shape[-1]) if values.shape[-1] else values.reshape(1, 0)
        exponent = torch.randint(-8, 9, (rows.shape[0], 1), generator=generator)
        values = (rows * torch.exp2(exponent.float())).reshape(rule.shape)
    return values


def _positives(rule: Rule, distribution: str, generator: torch.Generator) -> torch.Tensor:
    return _reals(rule, distribution, generator).abs_().clamp_(min=POSITIVE)


def _ranged(rule: Rule, distribution: str, generator: torch.Generator) -> torch.Tensor:
    low, high = _bounds(rule)
    values = _reals(rule, distribution, generator)
    if distribution == "sparse":
        spread = low + (high - low) * torch.sigmoid(values)
        return torch.where(values == 0, min(max(0.0, low), high), spread)
    if distribution in ("given", "normal", "mixed"):  # spread over the range rather than piled up at its ends
        return low + (high - low) * torch.sigmoid(values * 2.0)
    return values.clamp_(low, high)


def _bounds(rule: Rule) -> tuple[float, float]:
    assert rule.low is not None and rule.high is not None
    return rule.low, rule.high


def _unit(shape: tuple[int, ...], distribution: str, generator: torch.Generator) -> torch.Tensor:
    """Uniform in [0, 1), bent as the distribution says: heavy piles up at the low end as in Zipf's law, large at the high."""
    u = torch.rand(shape, generator=generator)
    if distribution in ("heavy", "mixed", "tiny"):
        return u**4
    if distribution in ("large", "spikes"):
        return 1.0 - 1e-6 - (1.0 - 1e-6) * u**4
    if distribution == "zeros":
        return u * (torch.rand(shape, generator=generator) < 0.5)
    return (u * 3).floor() / 3 if distribution == "repeated" else u


def _integers(rule: Rule, distribution: str, generator: torch.Generator) -> torch.Tensor:
    low, high = map(int, _bounds(rule))
    unit = _unit(rule.shape, distribution, generator).double()
    return (low + (unit * (high - low + 1)).floor()).clamp_(low, high).long()


def _choices(rule: Rule, distribution: str, generator: torch.Generator) -> torch.Tensor:
    options = torch.tensor(rule.values)
    picked = (_unit(rule.shape, distribution, generator) * len(options)).long().clamp_(max=len(options) - 1)
    return options[picked]


def _booleans(rule: Rule, distribution: str, generator: torch.Generator) -> torch.Tensor:
    share = 0.5 if rule.share is None else rule.share
    bent = {"heavy": 0.9, "large": 0.95, "tiny": 0.1, "negative": 0.3, "zeros": 0.05, "mixed": 0.7}.get(
        distribution, share
    )
    return torch.rand(rule.shape, generator=generator) < bent


_FILLERS: dict[str, Callable[[Rule, str, torch.Generator], torch.Tensor]] = {
    "real": _reals, "positive": _positives, "range": _ranged, "integer": _integers, "choice": _choices, "boolean": _booleans,
}  # fmt: skip


# ---------------------------------------------------------------- structure


def _structured(values: torch.Tensor, rule: Rule, generator: torch.Generator) -> torch.Tensor:
    if rule.structure == "probability":
        return torch.softmax(values.clamp(-LOGITS, LOGITS), dim=rule.dim)
    if rule.structure == "one_hot":
        picked = torch.rand(rule.shape, generator=generator).argmax(dim=rule.dim, keepdim=True)
        return torch.zeros(rule.shape).scatter_(rule.dim, picked, 1.0)
    if rule.structure == "symmetric":
        return (values + values.transpose(-2, -1)) / 2
    if rule.structure == "sorted":
        return values.sort(dim=rule.dim).values
    if rule.structure in ("lower", "upper"):
        return torch.tril(values) if rule.structure == "lower" else torch.triu(values)
    return _diagonal(values) if rule.structure == "diagonal" else values


def _diagonal(values: torch.Tensor) -> torch.Tensor:
    return torch.diag_embed(torch.diagonal(values, dim1=-2, dim2=-1))
