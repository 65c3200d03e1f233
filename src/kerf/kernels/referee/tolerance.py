"""How far from the reference an answer may be, and why.

The error model: run the reference in float64, and in its own precision in several honest ways (as it is, without oneDNN, with every
intermediate result perturbed by the rounding that another order of summation could give). The largest error seen among elements of
one magnitude, times a stated multiple, is what any element of that magnitude may be off. Nothing in it depends on the candidate, a
zero or a constant never fits in it where the reference is not one, and it follows the output's own scale.

A rare element may cancel where its peers of the same size do not (sin(y) + expm1(y) at y = -17.28). So where few elements are beyond
their tolerance, each of these is looked at by itself: the largest error of many more perturbed variants at that very element, times
the same multiple."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import torch

from kerf.kernels.referee.elements import at_memory, category, compiled, exponent
from kerf.kernels.referee.precision import Spread, spread_of
from kerf.kernels.referee.rounded import run_rounded
from kerf.kernels.referee.variants import Picks, run, run_in_double, run_variants

MULTIPLE, MULTIPLE_NARROW = 16.0, 4.0  # for 32- and 64-bit floats; for 16-bit ones, whose rounding dominates
NEAR = 12  # a magnitude with few elements also looks up to this many powers of two upwards
FEW = 64
CLOSER = 12  # perturbed variants of the second look
SOURCE = (
    "float64 reference; largest error of honest variants (native, without oneDNN, perturbed rounding and summation order) among elements "
    "of the same magnitude, times {multiple:g}"
)


@dataclass(frozen=True)
class Expected:
    """One output of the reference. `value`: float64 rounded to float32 (float64 outputs keep it); `table`: tolerance by float32
    exponent; `free`: where honest variants themselves disagree on NaN, infinity or the integer; `options`: integers the variants gave;
    `scores`: for argmax and the like, the float64 values that were compared, along `dim`; `closer`: the largest error of many more
    variants at each element, computed when it is first asked for; `spread`: what the largest elements may be off together, if the inputs
    are such that this tells."""

    value: torch.Tensor
    dtype: torch.dtype
    table: torch.Tensor | None = None
    free: torch.Tensor | None = None
    options: tuple[torch.Tensor, ...] = ()
    scores: torch.Tensor | None = None
    dim: int | None = None
    multiple: float = MULTIPLE
    closer: Callable[[], torch.Tensor] | None = None
    spread: Spread | None = None


def reference_outputs(
    module: Any, args: Sequence[Any], *, seed: int = 0, perturbed: int = 2, few_terms: bool = False
) -> list[Expected]:
    """What the module should return for `args`, with tolerances from `perturbed` randomly rounded variants and the plain ones. `few_terms`:
    the sums that the inputs go into have few terms that are not zero. The module is copied: its state does not change."""
    native = run(module, args)
    if (
        min((t.numel() for t in native), default=0) < FEW
    ):  # one element shows one sum of signs: look more often
        perturbed += 3
    picks = Picks()
    exact = run_in_double(module, args, picks) or native
    plain = [native, *run_variants(module, args, [], picks.products or exact is native)]
    rounded = run_rounded(module, args, [seed]) if few_terms else []
    variants = [*plain, *run_variants(module, args, range(seed, seed + perturbed), products=False), *rounded]
    closer = _Closer(module, args, range(seed + perturbed, seed + perturbed + CLOSER))
    found = [
        replace(_expected(exact[i], [v[i] for v in variants], picks), closer=partial(closer.errors, i))
        for i in range(len(native))
    ]
    if not few_terms or exact is native:
        return found
    return [_spread(e, exact[i], [v[i] for v in (*plain, *rounded)]) for i, e in enumerate(found)]


def _spread(expected: Expected, exact: torch.Tensor, variants: Sequence[torch.Tensor]) -> Expected:
    if expected.dtype != torch.float32:
        return expected
    if exact.is_complex():
        exact, variants = torch.view_as_real(exact), [torch.view_as_real(v) for v in variants]
    return replace(expected, spread=spread_of(exact, variants, expected.free))


class _Closer:
    """The largest error at each element over further perturbed variants; nothing is computed or kept until it is asked for."""

    def __init__(self, module: Any, args: Sequence[Any], seeds: Sequence[int]) -> None:
        self.module, self.args, self.seeds = module, args, seeds

    @cached_property
    def _errors(self) -> list[torch.Tensor]:
        exact = [
            _real(t) for t in run_in_double(self.module, self.args, Picks()) or run(self.module, self.args)
        ]
        worst = [torch.zeros_like(t) for t in exact]
        for seed in self.seeds:
            for variant in run_variants(self.module, self.args, [seed], products=False, narrow=True):
                for known, right, found in zip(worst, exact, variant):
                    torch.maximum(known, (_real(found) - right).abs().nan_to_num(0.0, 0.0, 0.0), out=known)
        return worst

    def errors(self, output: int) -> torch.Tensor:
        return self._errors[output]


def _real(t: torch.Tensor) -> torch.Tensor:
    """In float64, complex numbers as pairs."""
    return torch.view_as_real(t.to(torch.complex128)) if t.is_complex() else t.double()


def _expected(exact: torch.Tensor, variants: list[torch.Tensor], picks: Picks) -> Expected:
    native = variants[0]
    if not (native.is_floating_point() or native.is_complex()):
        return _expected_integer(exact, variants, picks)
    if native.is_complex():
        exact, variants, native = (
            torch.view_as_real(exact),
            [torch.view_as_real(v) for v in variants],
            torch.view_as_real(native),
        )
    multiple = MULTIPLE if native.dtype in (torch.float32, torch.float64) else MULTIPLE_NARROW
    kept = exact.to(torch.float64 if native.dtype == torch.float64 else torch.float32)
    surveyed = _surveyed(exact, variants, multiple)
    if surveyed is not None:
        return Expected(kept, native.dtype, *surveyed, multiple=multiple)
    rounded = exact.to(native.dtype)
    free = torch.zeros(native.shape, dtype=torch.bool)
    for variant in variants:
        free |= category(variant) != category(rounded)
    table = error_table(exact.double(), [v.double() for v in variants], native.dtype, free, multiple)
    return Expected(kept, native.dtype, table, free if bool(free.any()) else None, multiple=multiple)


def _surveyed(
    exact: torch.Tensor, variants: list[torch.Tensor], multiple: float
) -> tuple[torch.Tensor, torch.Tensor | None] | None:
    """The error table and the free elements, in two passes of C; None where the types ask for the torch form of the same."""
    library = compiled()
    if library is None or exact.dtype != torch.float64 or any(v.dtype != torch.float32 for v in variants):
        return None
    exact, n = exact.contiguous(), ctypes.c_long(exact.numel())
    free, variants = torch.zeros(exact.shape, dtype=torch.bool), [v.contiguous() for v in variants]
    worst, counts = torch.zeros(256, dtype=torch.float64), torch.zeros(256, dtype=torch.int64)
    library.disagree_f32.restype = ctypes.c_long
    odd = sum(library.disagree_f32(at_memory(exact), at_memory(v), at_memory(free), n) for v in variants)
    for v in variants:
        library.survey_f32(
            at_memory(exact),
            at_memory(v),
            at_memory(free if odd else None),
            n,
            at_memory(worst),
            at_memory(counts),
        )
    return _smoothed(worst, counts // len(variants), torch.float32, multiple), free if odd else None


def _expected_integer(exact: torch.Tensor, variants: list[torch.Tensor], picks: Picks) -> Expected:
    native, exact = variants[0], exact.to(variants[0].dtype)
    options = tuple(v for v in variants if not torch.equal(v, exact))
    found = picks.of(exact) if native.dtype in (torch.int64, torch.int32) else None
    scores, dim = found if found else (None, None)
    return Expected(exact, native.dtype, options=options, scores=scores, dim=dim)


def error_table(
    exact: torch.Tensor,
    variants: Sequence[torch.Tensor],
    dtype: torch.dtype,
    free: torch.Tensor,
    multiple: float,
) -> torch.Tensor:
    """256 tolerances, by exponent. Non-decreasing: what a small element may be off, a larger one may too."""
    index = exponent(exact).flatten().long()
    usable = torch.isfinite(exact).flatten() & ~free.flatten()
    index = index[usable]
    worst = torch.zeros(256, dtype=torch.float64)
    for variant in variants:
        error = (variant - exact).abs().flatten()[usable].nan_to_num()
        worst.scatter_reduce_(0, index, error, "amax")
    counts = torch.bincount(index, minlength=256)
    return _smoothed(worst, counts, dtype, multiple)


def _enough(counts: torch.Tensor, e: int) -> int:
    """Where the window of magnitudes from `e` upwards ends: FEW elements, or NEAR powers of two."""
    total, end = int(counts[e]), e + 1
    while total < FEW and end < min(256, e + NEAR + 1):
        total, end = total + int(counts[end]), end + 1
    return end


def _smoothed(worst: torch.Tensor, counts: torch.Tensor, dtype: torch.dtype, multiple: float) -> torch.Tensor:
    info = torch.finfo(dtype)
    size = torch.ldexp(
        torch.ones(256, dtype=torch.float64), torch.arange(256) - 127
    )  # the lower end of each binade
    scale = torch.tensor(
        [float(worst[e : _enough(counts, e)].max()) for e in range(256)], dtype=torch.float64
    )
    scale = torch.cummax(scale, 0).values
    seen = torch.nonzero(counts[1:])
    if len(
        seen
    ):  # a zero may be a sum that cancelled, or one that a ReLU cut: as far off as the smallest elements that are not zero
        lowest = int(seen[0]) + 1
        scale[: lowest + 1] = scale[lowest]
    upper = (counts.cumsum(0) >= 0.9 * counts.sum()).nonzero() if int(counts.sum()) else None
    typical = float(size[int(upper[0])]) if upper is not None else 0.0
    # the last term: float64 itself cancels (1 + erf), where a better formula gives what is left
    floor = size * 2 * info.eps + info.tiny + typical * 2.0**-48
    return torch.maximum(scale * multiple, floor * (2 if multiple == MULTIPLE else 1))
