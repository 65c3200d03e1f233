"""Other sizes of a problem: odd ones that still run, and smaller ones that fit a budget."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kerf.core.types import KerfError
from kerf.kernels import problem_file
from kerf.kernels.problem import fake_cost

if TYPE_CHECKING:
    from kerf.kernels.problem import KernelProblem
    from kerf.kernels.problem_file import ProblemFile

SMALL = 4  # smaller integers are kernel sizes, strides, dimensions, counts of layers: the architecture, not the amount of data


def largest_prime(limit: int) -> int:
    """The largest prime <= limit; 1 below 2."""
    return next((n for n in range(limit, 1, -1) if all(n % d for d in range(2, int(n**0.5) + 1))), 1)


def runs(file: ProblemFile, overrides: Mapping[str, object]) -> bool:
    """Whether the problem executes at these sizes, tried over fake tensors."""
    try:
        return fake_cost(problem_file.execute(file, overrides)) is not None
    except KerfError:
        return False


def ragged_overrides(problem: KernelProblem, k: int) -> dict[str, int] | None:
    """The k-th set of odd sizes for `problem`, found by trying: each independent size alone, then together with those of equal
    value. k = 0: primes just below half; k = 1: the first size is 1; above: primes drawn between an eighth and the whole."""
    if problem.file is None:
        return None
    rng, chosen = random.Random(f"{problem.key}/{k}"), dict[str, int]()
    eligible = {n: v for n, v in problem.sizes.items() if v > SMALL}
    first = next(iter(problem.sizes), "")
    for name in eligible:
        if name in chosen:
            continue
        value = 1 if k == 1 and name == first else _odd(eligible[name], k, rng)
        for names in _alone_then_equal(name, eligible, chosen):
            trial = {**problem.overrides, **chosen, **dict.fromkeys(names, value)}
            if runs(problem.file, trial):
                chosen.update(dict.fromkeys(names, value))
                break
    return chosen or None


def _odd(value: int, k: int, rng: random.Random) -> int:
    if k == 0:
        return largest_prime(max(2, value // 2))
    return largest_prime(rng.randint(max(2, value // 8), value))


def _alone_then_equal(
    name: str, sizes: Mapping[str, int], taken: Mapping[str, int]
) -> Sequence[tuple[str, ...]]:
    same = tuple(n for n, v in sizes.items() if v == sizes[name] and n not in taken)
    return [(name,), same] if len(same) > 1 else [(name,)]
