"""Other sizes of a problem: odd ones that still run, and smaller ones that fit a budget."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerf.core.types import KerfError
from kerf.kernels import problem_file
from kerf.kernels.cost import Cost
from kerf.kernels.problem import cost_at, fake_cost, static_bytes
from kerf.kernels.tensors import flat_tensors

if TYPE_CHECKING:
    from kerf.kernels.problem import KernelProblem
    from kerf.kernels.problem_file import ProblemFile

SMALL = 4  # smaller integers are kernel sizes, strides, dimensions, counts of layers: the architecture, not the amount of data


def largest_prime(limit: int) -> int:
    """The largest prime <= limit; 1 below 2."""
    return next((n for n in range(limit, 1, -1) if all(n % d for d in range(2, int(n**0.5) + 1))), 1)


def runs(file: ProblemFile, overrides: Mapping[str, object]) -> bool:
    """Whether the problem executes at these sizes."""
    try:
        return cost_at(problem_file.execute(file, overrides)) is not None
    except KerfError:
        return False


def ragged_overrides(problem: KernelProblem, k: int) -> dict[str, int] | None:
    """The k-th set of odd sizes for `problem`, found by trying: each independent size alone, then together with those of equal
    value. k = 0: primes just below half; k = 1: the first size is 1; above: primes drawn between an eighth and the whole."""
    if problem.file is None:
        return None
    fixed = problem.file.read_by_classes()  # a candidate written for the problem keeps these as they were
    rng, chosen = random.Random(f"{problem.key}/{k}"), dict[str, int]()
    eligible = {n: v for n, v in problem.sizes.items() if v > SMALL and n.partition("[")[0] not in fixed}
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


# ---------------------------------------------------------------- shrinking

ROUNDS = 64
BATCH = 16  # below this the leading dimension is no longer the cheapest thing to give up


def shrink(
    path: str | Path,
    max_bytes: int,
    max_flops: float,
    overrides: Mapping[str, object] | None = None,
    keep: frozenset[str] = frozenset(),
) -> dict[str, int]:
    """Overrides under which the problem's inputs, parameters and outputs fit `max_bytes` and its work `max_flops`; {} when it fits
    as it is. The first input's leading dimension is halved first, down to BATCH (it changes nothing but the amount), then the largest sizes,
    alone and together with equal ones, except those in `keep`; nothing large is allocated. KerfError
    when no sizes fit. `audit.shrink_sound` is the same with an audit of the result."""
    return _shrunk(problem_file.read_file(path), max_bytes, max_flops, dict(overrides or {}), keep)


def _shrunk(
    file: ProblemFile, max_bytes: int, max_flops: float, fixed: dict[str, object], keep: frozenset[str]
) -> dict[str, int]:
    chosen: dict[str, int] = {}
    now = _cost_at(file, fixed, cost_at)
    if now is None:
        if 0 < static_bytes(problem_file.execute(file, fixed)) <= max_bytes:
            return {}  # small, and only a real run shows its cost, or why it does not run
        raise KerfError(
            f"{file.where}: its cost cannot be found without running it, so it cannot be shrunk automatically. Use --set."
        )
    for _ in range(ROUNDS):
        if now.bytes <= max_bytes and now.flops <= max_flops:
            return chosen
        step = _best_step(file, {**fixed, **chosen}, now, max_bytes, max_flops, keep | set(fixed))
        if step is None:
            break
        names, now = step
        chosen.update(names)
    raise KerfError(
        f"{file.where}: no sizes were found that fit {max_bytes / 2**20:.0f} MiB and {max_flops / 1e9:.1f} GFLOP; use --set."
    )


def _cost_at(
    file: ProblemFile, overrides: Mapping[str, object], find: Callable[[Any], Cost | None] = fake_cost
) -> Cost | None:
    try:
        return find(problem_file.execute(file, overrides))
    except KerfError:
        return None


def _best_step(
    file: ProblemFile,
    overrides: dict[str, object],
    now: Cost,
    max_bytes: int,
    max_flops: float,
    keep: frozenset[str],
) -> tuple[dict[str, int], Cost] | None:
    """The first halving, in order of preference, that runs and lowers what is over budget."""
    sizes = {
        n: v
        for n, v in problem_file.sizes(file, problem_file.execute(file, overrides)).items()
        if n not in keep
    }
    for names in _halving_order(file, overrides, sizes):
        smaller = {n: max(1, sizes[n] // 2) for n in names}
        cost = _cost_at(file, {**overrides, **smaller})
        if cost is not None and _excess(cost, max_bytes, max_flops) < _excess(now, max_bytes, max_flops):
            return smaller, cost
    return None


def _excess(cost: Cost, max_bytes: int, max_flops: float) -> float:
    return max(cost.bytes / max_bytes, 1.0) * max(cost.flops / max_flops, 1.0)


def _halving_order(
    file: ProblemFile, overrides: Mapping[str, object], sizes: Mapping[str, int]
) -> Iterator[tuple[str, ...]]:
    large = sorted((n for n, v in sizes.items() if v > SMALL), key=lambda n: -sizes[n])
    batch = _leading_size(file, overrides, sizes)
    if batch is not None and sizes[batch] > BATCH:
        yield (batch,)
    for name in large:
        yield (name,)
        same = tuple(n for n in large if sizes[n] == sizes[name])
        if len(same) > 1:
            yield same
    yield from ((n,) for n, v in sizes.items() if 1 < v <= SMALL and n == batch)


def _leading_size(file: ProblemFile, overrides: Mapping[str, object], sizes: Mapping[str, int]) -> str | None:
    """The size that is the first input's leading dimension alone, if one is."""
    shape = _first_shape(file, overrides)
    for name, value in sizes.items():
        if not shape or value != shape[0] or value < 2:
            continue
        changed = _first_shape(file, {**overrides, name: value - 1})
        if changed and changed[0] == value - 1 and changed[1:] == shape[1:]:
            return name
    return None


def _first_shape(file: ProblemFile, overrides: Mapping[str, object]) -> tuple[int, ...]:
    from torch._subclasses.fake_tensor import FakeTensorMode

    try:
        with FakeTensorMode():
            first = next(flat_tensors(list(problem_file.execute(file, overrides).get_inputs())), None)
    except Exception:
        return ()
    return tuple(first.shape) if first is not None else ()
