"""An answer against what was expected, element by element."""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass

import torch

from kerf.kernels.referee.elements import category, compiled, exponent
from kerf.kernels.referee.precision import Spread
from kerf.kernels.referee.tolerance import FEW, Expected

RARE = 1e-3  # the second look is for at most this share of the elements (and always for FEW)


@dataclass(frozen=True)
class Verdict:
    """`error` and `tolerance` are of the element nearest to (or furthest beyond) its tolerance."""

    passed: bool
    error: float
    tolerance: float
    text: str = ""


def compare(answer: torch.Tensor, expected: Expected, slack: float = 1.0) -> Verdict:
    """Judge one output. NaN and infinities must be where the reference has them."""
    if expected.table is None:
        return _compare_integer(answer, expected)
    if answer.is_complex():
        answer = torch.view_as_real(answer)
    if answer.shape != expected.value.shape:
        return Verdict(
            False, math.inf, 0.0, f"shape {list(answer.shape)} instead of {list(expected.value.shape)}"
        )
    wide = answer if answer.dtype in (torch.float32, torch.float64) else answer.float()
    found = _fast(wide, expected, slack) or _careful(wide, expected, slack)
    rare = max(FEW, RARE * wide.numel())
    if expected.closer is not None and not found.odd and 0 < found.beyond <= rare:
        found = _careful(wide, expected, slack, expected.closer() * expected.multiple)
    verdict = found.verdict(wide, expected.value)
    if verdict.passed and expected.spread is not None:
        return _as_a_whole(wide, expected.value, expected.spread) or verdict
    return verdict


def _as_a_whole(answer: torch.Tensor, value: torch.Tensor, spread: Spread) -> Verdict | None:
    """A verdict where the largest elements together are too far off."""
    error = spread.error(answer, value)
    if error <= spread.limit:
        return None
    text = (
        f"its {spread.at.numel()} largest elements are off by {error:.3g} (root mean square), tolerance {spread.limit:.3g}: sums of few terms, "
        "computed with less precision than float32's"
    )
    return Verdict(False, error, spread.limit, text)


@dataclass(frozen=True)
class _Found:
    """The worst element, in units of its tolerance, and how many are beyond theirs or not finite where they should be."""

    share: float
    at: int
    error: float
    tolerance: float
    beyond: int
    odd: int
    first_odd: int

    def verdict(self, answer: torch.Tensor, value: torch.Tensor) -> Verdict:
        n, at = answer.numel(), self.first_odd if self.odd else self.at
        if not self.odd and not self.beyond:
            return Verdict(True, self.error, self.tolerance)
        said = f"element {at} is {float(answer.flatten()[at]):.8g}, expected {float(value.flatten()[at]):.8g}"
        if self.odd:
            return Verdict(False, math.inf, 0.0, f"{said} ({self.odd} of {n} elements)")
        text = (
            f"{said}: off by {self.error:.3g}, tolerance {self.tolerance:.3g} ({self.beyond} of {n} elements)"
        )
        return Verdict(False, self.error, self.tolerance, text)


def _fast(answer: torch.Tensor, expected: Expected, slack: float) -> _Found | None:
    library, value, free = compiled(), expected.value, expected.free
    if (
        library is None
        or answer.dtype != torch.float32
        or value.dtype != torch.float32
        or expected.table is None
    ):
        return None
    answer, value, table = answer.contiguous(), value.contiguous(), expected.table.float()
    result = (ctypes.c_double * 7)()
    at = [ctypes.c_void_p(t.data_ptr()) for t in (answer, value, table)]
    mask = ctypes.c_void_p(free.contiguous().data_ptr() if free is not None else None)
    limit = ctypes.c_double(torch.finfo(expected.dtype).max)
    library.compare_f32(*at, mask, ctypes.c_long(answer.numel()), ctypes.c_double(slack), limit, result)
    share, index, error, tolerance, beyond, odd, first = result
    return _Found(share, int(index), error, tolerance, int(beyond), int(odd), int(first))


def _careful(
    answer: torch.Tensor, expected: Expected, slack: float, own: torch.Tensor | None = None
) -> _Found:
    """The same in torch, for float64, and where elements have tolerances of their `own`, if these are larger."""
    value, free = expected.value.to(answer.dtype), expected.free
    assert expected.table is not None
    tolerance = expected.table.to(answer.dtype)[exponent(value).long()] * slack
    if own is not None:
        tolerance = torch.maximum(tolerance, own.to(answer.dtype) * slack)
    error = (answer - value).abs()
    odd = category(answer) != category(value.to(expected.dtype).to(answer.dtype))
    share = torch.where(torch.isfinite(error), error / tolerance, torch.zeros_like(error))
    if free is not None:
        odd, share = odd & ~free, share.masked_fill(free, 0.0)
    at = int(share.argmax()) if share.numel() else 0
    worst = [float(t.flatten()[at]) if t.numel() else 0.0 for t in (share, error, tolerance)]
    first = int(odd.flatten().to(torch.uint8).argmax()) if bool(odd.any()) else -1
    return _Found(worst[0], at, worst[1], worst[2], int((share > 1).sum()), int(odd.sum()), first)


def _share(bad: torch.Tensor) -> str:
    return f"{int(bad.sum())} of {bad.numel()} elements"


def _compare_integer(answer: torch.Tensor, expected: Expected) -> Verdict:
    if answer.dtype == torch.bool and bool((answer.view(torch.uint8) > 1).any()):
        return Verdict(False, 1.0, 0.0, "a bool that is neither 0 nor 1: not written")
    good = answer == expected.value
    for option in expected.options:
        good |= answer == option
    if expected.scores is not None and not bool(good.all()):
        good |= _near_ties(answer, expected)
    if bool(good.all()):
        return Verdict(True, 0.0, 0.0)
    at = int(torch.nonzero(~good.flatten())[0]) if good.dim() else 0
    return Verdict(
        False,
        1.0,
        0.0,
        f"element {at} is {answer.flatten()[at].item()}, expected {expected.value.flatten()[at].item()} ({_share(~good)})",
    )


def _near_ties(answer: torch.Tensor, expected: Expected) -> torch.Tensor:
    """An index whose value is within float32 rounding of the best one's is as right as the best."""
    scores, dim = expected.scores, expected.dim
    assert scores is not None
    flat = scores.flatten() if dim is None else scores
    along = 0 if dim is None else dim
    length = flat.shape[along]
    inside = (answer >= 0) & (answer < length)
    chosen, best = (
        torch.gather(flat, along, _at(i, flat, along)).reshape(answer.shape)
        for i in (answer.clamp(0, length - 1), expected.value)
    )
    return inside & ((chosen - best).abs() <= 16 * 1.2e-7 * best.abs() + 1e-38)


def _at(index: torch.Tensor, flat: torch.Tensor, along: int) -> torch.Tensor:
    if flat.dim() == 1:
        return index.reshape(-1).long()
    return (index if index.dim() == flat.dim() else index.unsqueeze(along)).long()
