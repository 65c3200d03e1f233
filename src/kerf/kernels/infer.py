"""A contract inferred from a problem's own inputs: what all its draws have in common, and what its reference cannot do without."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kerf.kernels.contract import Contract, Rule
from kerf.kernels.distributions import draw_rule
from kerf.kernels.tensors import flat_tensors

if TYPE_CHECKING:
    from kerf.kernels.problem import KernelProblem

SAMPLE = 1 << 14
ROWS = 64
FEW = 4  # as many distinct values make a set of labels rather than a range of numbers


def infer_contract(problem: KernelProblem) -> Contract:
    """Three draws of the inputs are looked at (a module's examples: one); structure that all of them show is kept. A float input is free to be any
    real number unless the reference then gives NaN or infinity where its own inputs do not: then it stays positive, or in its range."""
    draws = [problem.inputs(problem.seed + i) for i in range(3 if problem.file else 1)]
    names = argument_names(problem.module, len(draws[0]))
    rules = tuple(_rule(name, [d[i] for d in draws]) for i, name in enumerate(names))
    rules = _with_domains(problem, rules, draws[0])
    return Contract(rules, draw_given=problem.draw_inputs if problem.file else None)


def argument_names(module: torch.nn.Module, count: int) -> list[str]:
    """forward()'s parameter names, as many as there are arguments."""
    named = [
        p.name
        for p in inspect.signature(module.forward).parameters.values()
        if p.kind is not p.VAR_POSITIONAL
    ]
    return [named[i] if i < len(named) else f"arg{i}" for i in range(count)]


def _rule(name: str, values: Sequence[Any]) -> Rule:
    first = values[0]
    if not isinstance(first, torch.Tensor):
        return Rule(name, "none", (), domain="fixed", value=first)
    strides = None if first.is_contiguous() else tuple(first.stride())
    rule = Rule(name, str(first.dtype).removeprefix("torch."), tuple(first.shape), strides=strides)
    if first.numel() == 0:
        return replace(rule, domain="fixed", value=first)
    if first.is_complex():
        return _complex_rule(rule, values)
    same = len(values) > 1 and all(torch.equal(first, v) for v in values[1:])
    if first.dtype is torch.bool:
        return (
            replace(rule, domain="fixed", value=first)
            if same
            else replace(rule, domain="boolean", share=_share(values))
        )
    if not first.dtype.is_floating_point:
        return (
            replace(rule, domain="fixed", value=first)
            if same and first.numel() > 1
            else _integer_rule(rule, values)
        )
    return _float_rule(rule, values, same)


def _complex_rule(rule: Rule, values: Sequence[torch.Tensor]) -> Rule:
    """What holds for both parts alike."""
    parts = _rule(rule.name, [torch.view_as_real(v.resolve_conj()) for v in values])
    fixed = values[0] if parts.domain == "fixed" else None
    return replace(parts, dtype=rule.dtype, shape=rule.shape, strides=rule.strides, structure="", value=fixed)


def _share(values: Sequence[torch.Tensor]) -> float:
    return round(sum(float(v.double().mean()) for v in values) / len(values), 3)


def _integer_rule(rule: Rule, values: Sequence[torch.Tensor]) -> Rule:
    low, high = min(int(v.min()) for v in values), max(int(v.max()) for v in values)
    found = _distinct(values)
    if found is not None and high - low + 1 > len(found):
        return replace(rule, domain="choice", values=found)
    sort = "sorted" if _sorted(values) else ""
    return replace(rule, domain="integer", low=float(low), high=float(high), structure=sort)


def _float_rule(rule: Rule, values: Sequence[torch.Tensor], same: bool) -> Rule:
    sample = _sampled(values[0]).double()
    finite = sample[sample.isfinite()]
    loc, scale = (float(finite.mean()), float(finite.std(correction=0))) if finite.numel() else (0.0, 1.0)
    rule = replace(rule, loc=loc, scale=scale or 1.0)
    found = _distinct(values)
    if found is not None and len(found) > 1:
        if same:
            return replace(rule, domain="fixed", value=values[0])
        dim = _one_hot_dim(values) if set(found) == {0.0, 1.0} else None
        return replace(
            rule,
            domain="choice",
            values=found,
            structure="one_hot" if dim is not None else "",
            dim=-1 if dim is None else dim,
        )
    for dim in range(-1, -values[0].dim() - 1, -1):
        if all(_sums_to_one(v, dim) for v in values):
            return replace(rule, structure="probability", dim=dim)
    return replace(rule, structure=_matrix_structure(values) or ("sorted" if _sorted(values) else ""))


def _sampled(value: torch.Tensor) -> torch.Tensor:
    """Up to SAMPLE elements, spread over the tensor."""
    flat = value.detach().reshape(-1)
    if flat.numel() <= SAMPLE:
        return flat
    return flat[torch.randint(flat.numel(), (SAMPLE,), generator=torch.Generator().manual_seed(0))]


def _distinct(values: Sequence[torch.Tensor]) -> tuple[float, ...] | None:
    """The distinct values when there are few of them in many elements."""
    if sum(v.numel() for v in values) < 16 * FEW:
        return None
    found = torch.unique(torch.cat([_sampled(v) for v in values]))
    return tuple(float(v) for v in found) if found.numel() <= FEW else None


def _rows(value: torch.Tensor, dim: int) -> torch.Tensor:
    """Up to ROWS rows along `dim`, as a matrix of doubles."""
    moved = value.detach().movedim(dim, -1)
    if moved.dim() == 1:
        return moved[None].double()
    count = value.numel() // value.shape[dim]
    index = torch.linspace(0, count - 1, min(count, ROWS)).long()
    at = np.unravel_index(index.numpy(), moved.shape[:-1])  # torch's own imports sympy: 0.3 s
    return moved[tuple(torch.from_numpy(i) for i in at)].double()


def _sums_to_one(value: torch.Tensor, dim: int) -> bool:
    if value.shape[dim] < 2:
        return False
    rows = _rows(value, dim)
    return bool((rows >= 0).all() and ((rows.sum(-1) - 1).abs() < 1e-3).all())


def _one_hot_dim(values: Sequence[torch.Tensor]) -> int | None:
    dims = range(-1, -values[0].dim() - 1, -1)
    return next((d for d in dims if all(bool((_rows(v, d).sum(-1) == 1).all()) for v in values)), None)


def _sorted(values: Sequence[torch.Tensor]) -> bool:
    if values[0].dim() == 0 or values[0].shape[-1] < 16:
        return False
    rows = [_rows(v, -1) for v in values]
    return all(bool((r.diff(dim=-1) >= 0).all()) for r in rows) and any(
        bool((r.diff(dim=-1) > 0).any()) for r in rows
    )


def _matrix_structure(values: Sequence[torch.Tensor]) -> str:
    """lower, upper, diagonal or symmetric, when every draw is (tested on a spread of rows and columns of the last two dimensions)."""
    if values[0].dim() < 2 or values[0].shape[-1] != values[0].shape[-2] or values[0].shape[-1] < 4:
        return ""
    n = values[0].shape[-1]
    at = torch.linspace(0, n - 1, min(n, ROWS)).long()
    parts = [(v[..., at, :].double(), v[..., :, at].transpose(-2, -1).double()) for v in values]
    below, above = torch.arange(n)[None, :] < at[:, None], torch.arange(n)[None, :] > at[:, None]
    lower = all(bool((r[..., above] == 0).all()) for r, _ in parts)
    upper = all(bool((r[..., below] == 0).all()) for r, _ in parts)
    if lower or upper:
        return "diagonal" if lower and upper else "lower" if lower else "upper"
    return "symmetric" if all(torch.equal(r, c) for r, c in parts) else ""


# ---------------------------------------------------------------- domains, by trying


def _with_domains(problem: KernelProblem, rules: tuple[Rule, ...], example: list[Any]) -> tuple[Rule, ...]:
    free = [
        i for i, r in enumerate(rules) if r.is_float and r.domain == "real" and r.structure != "probability"
    ]
    if not free or _harmless(problem, rules, example, free):
        return rules
    narrowed = list(rules)
    for i in free:
        if not _harmless(problem, tuple(narrowed), example, [i]):
            narrowed[i] = _narrowed(problem, tuple(narrowed), example, i)
    return tuple(narrowed)


def _narrowed(problem: KernelProblem, rules: tuple[Rule, ...], example: list[Any], i: int) -> Rule:
    """Positive where that is enough to keep the reference finite, else within the example's own range."""
    low, high = float(example[i].min()), float(example[i].max())
    options = [replace(rules[i], domain="positive")] if low >= 0 else []
    for option in options:
        if _harmless(problem, (*rules[:i], option, *rules[i + 1 :]), example, [i]):
            return option
    return replace(rules[i], domain="range", low=low, high=high)


def _harmless(
    problem: KernelProblem, rules: tuple[Rule, ...], example: list[Any], which: Sequence[int]
) -> bool:
    """Whether normal values in place of these inputs leave the reference as finite as its own inputs do."""
    generator = torch.Generator().manual_seed(problem.seed + 99)
    trial = [draw_rule(rules[i], "normal", generator) if i in which else a for i, a in enumerate(example)]
    new = _nonfinite(problem, trial)
    return new == 0 or new <= _nonfinite(problem, list(example))


def _nonfinite(problem: KernelProblem, args: list[Any]) -> int:
    from kerf.kernels.problem import seeded

    with seeded(problem.seed), torch.no_grad():
        outputs = list(flat_tensors(problem.fresh_module()(*args)))
    floats = [o for o in outputs if o.dtype.is_floating_point and o.numel()]
    return sum(
        int((~o.isfinite()).sum()) for o in floats if not o.sum().isfinite()
    )  # a sum is ten times faster, and mostly enough
