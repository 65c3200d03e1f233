"""What the inputs of a problem may be: inferred, printed, edited, and drawn from.

A contract has one `Rule` an argument. Values drawn from it keep the rule under every distribution, so that a kernel is
never judged on inputs that its reference was not made for (an index out of range, a negative probability), and is judged on
all the others.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from kerf.core.types import KerfError

if TYPE_CHECKING:
    from kerf.kernels.problem import KernelProblem

VISIBLE = ("given", "normal", "heavy", "large", "tiny", "negative", "zeros")
HIDDEN = ("mixed", "sparse", "spikes", "repeated")  # never shown to proposers
DOMAINS = ("real", "positive", "range", "integer", "choice", "boolean", "fixed")
STRUCTURES = ("", "probability", "one_hot", "lower", "upper", "diagonal", "symmetric", "sorted")


@dataclass(frozen=True)
class Rule:
    """What one argument may be.

    domain: real | positive | range (floats in [low, high]) | integer (in [low, high]) | choice (one of `values`) | boolean
    (True with probability `share`) | fixed (always the example's own value). structure: "" | probability (non-negative, sums
    to one along `dim`) | one_hot (along `dim`) | lower | upper | diagonal | symmetric (last two dimensions) | sorted (along
    `dim`). `loc` and `scale`: mean and standard deviation of the example."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    domain: str = "real"
    low: float | None = None
    high: float | None = None
    values: tuple[float, ...] = ()
    share: float | None = None
    structure: str = ""
    dim: int = -1
    loc: float = 0.0
    scale: float = 1.0
    strides: tuple[int, ...] | None = None
    value: Any = field(default=None, compare=False, repr=False)

    @property
    def is_tensor(self) -> bool:
        return self.dtype != "none"

    @property
    def torch_dtype(self) -> torch.dtype:
        found = getattr(torch, self.dtype)
        assert isinstance(found, torch.dtype)
        return found

    @property
    def is_float(self) -> bool:
        return self.is_tensor and self.torch_dtype.is_floating_point

    def text(self) -> str:
        if not self.is_tensor:
            return f"{self.name}: {self.value!r}"
        bounds = (
            f" in [{self.low:g}, {self.high:g}]" if self.low is not None and self.high is not None else ""
        )
        options = f" of {', '.join(f'{v:g}' for v in self.values)}" if self.values else ""
        share = f", True with probability {self.share:.2f}" if self.share is not None else ""
        structure = f", {self.structure}" if self.structure else ""
        return f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}] {self.domain}{bounds}{options}{share}{structure}"


@dataclass(frozen=True)
class Contract:
    """The rules, in the order of forward()'s arguments. `given` is the distribution that stands for the problem's own inputs:
    "file" (what get_inputs draws) or one of the named distributions (a hardened problem's)."""

    rules: tuple[Rule, ...]
    given: str = "file"
    draw_given: Callable[[int], list[Any]] | None = field(default=None, compare=False, repr=False)

    def draw(self, generator: torch.Generator, distribution: str = "given") -> list[Any]:
        """Arguments of forward() that keep the contract: fresh tensors, the same for the same generator state.
        `distribution` is one of VISIBLE or HIDDEN. About 0.1 s for 100 MB."""
        from kerf.kernels.distributions import draw_rule

        if distribution not in (*VISIBLE, *HIDDEN):
            raise KerfError(
                f"no value distribution named {distribution!r}; there are {', '.join((*VISIBLE, *HIDDEN))}."
            )
        if distribution == "given" and self.given == "file" and self.draw_given is not None:
            return self.draw_given(int(torch.randint(1 << 62, (), generator=generator)))
        kind = self.given if distribution == "given" and self.given != "file" else distribution
        return [draw_rule(rule, k, generator) for rule, k in zip(self.rules, self._kinds(kind), strict=True)]

    def _kinds(self, kind: str) -> list[str]:
        """The distribution of each argument. Where one operand of a product is sparse the other is not, or hardly anything would meet: of
        the floats, every second is dense (of queries, keys and values, the keys)."""
        floats = [i for i, rule in enumerate(self.rules) if rule.is_float]
        dense = floats[1::2] if kind == "sparse" else []
        return ["normal" if i in dense else kind for i in range(len(self.rules))]

    def text(self) -> str:
        given = "" if self.given == "file" else f"\ngiven: drawn as {self.given!r}"
        return "\n".join(rule.text() for rule in self.rules) + given

    def to_toml(self) -> str:
        """The editable form; shapes and dtypes are comments, since sizes can be overridden."""
        head = ["# What the inputs may be. kerf reads this file beside the problem instead of inferring.", f"# domain: {' | '.join(DOMAINS)}",
                f"# structure: {' | '.join(s or '(none)' for s in STRUCTURES)}", f'given = "{self.given}"']  # fmt: skip
        return "\n".join(head) + "\n" + "".join(_rule_toml(rule) for rule in self.rules)

    def save(self, path: Path) -> None:
        path.write_text(self.to_toml(), encoding="utf-8")

    def edited(self, text: str, where: str = "contract.toml") -> Contract:
        """This contract with what a TOML text says about inputs, by name."""
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise KerfError(f"{where} is not valid TOML: {error}") from error
        stated = {entry.get("name"): entry for entry in data.get("input", [])}
        unknown = set(stated) - {r.name for r in self.rules}
        if unknown:
            have = ", ".join(r.name for r in self.rules)
            raise KerfError(
                f"{where} speaks of inputs {', '.join(map(str, unknown))}, which forward() does not take. It takes: {have}."
            )
        rules = tuple(_edited_rule(r, stated.get(r.name, {}), where) for r in self.rules)
        return replace(self, rules=rules, given=_checked_given(data.get("given", "file"), where))


EDITABLE = ("domain", "low", "high", "values", "share", "structure", "dim")


def _checked_given(given: str, where: str) -> str:
    if given not in ("file", *VISIBLE[1:], *HIDDEN):
        raise KerfError(
            f"{where}: given = {given!r} is not one of file, {', '.join((*VISIBLE[1:], *HIDDEN))}."
        )
    return given


def _rule_toml(rule: Rule) -> str:
    if not rule.is_tensor:
        return ""
    default = {f.name: f.default for f in fields(Rule)}
    lines = [
        f"{k} = {_toml_value(getattr(rule, k))}"
        for k in EDITABLE
        if k == "domain" or getattr(rule, k) != default[k]
    ]
    return (
        f'\n[[input]]  # {rule.dtype}[{", ".join(map(str, rule.shape))}]\nname = "{rule.name}"\n'
        + "\n".join(lines)
        + "\n"
    )


def _toml_value(value: Any) -> str:
    if isinstance(value, float):
        return {"inf": "inf", "-inf": "-inf"}.get(str(value), repr(value))
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    return json.dumps(value)


def _edited_rule(rule: Rule, stated: Mapping[str, Any], where: str) -> Rule:
    unknown = set(stated) - {*EDITABLE, "name"}
    if unknown:
        raise KerfError(
            f"{where}, input {rule.name}: unknown {', '.join(unknown)}; an input has {', '.join(EDITABLE)}."
        )
    changed: dict[str, Any] = {k: tuple(v) if k == "values" else v for k, v in stated.items() if k != "name"}
    new = replace(rule, **changed)
    if new.domain not in DOMAINS or new.structure not in STRUCTURES:
        raise KerfError(
            f"{where}, input {rule.name}: domain is one of {', '.join(DOMAINS)}; structure one of {', '.join(STRUCTURES[1:])}."
        )
    if new.domain in ("range", "integer") and (new.low is None or new.high is None or new.low > new.high):
        raise KerfError(f"{where}, input {rule.name}: domain {new.domain} needs low <= high.")
    if new.domain == "choice" and not new.values:
        raise KerfError(f"{where}, input {rule.name}: domain choice needs values.")
    return new


def contract_path(problem_path: Path) -> Path:
    """`problem.contract.toml` beside `problem.py`."""
    return problem_path.with_suffix(".contract.toml")


def contract_of(problem: KernelProblem) -> Contract:
    """The inferred contract, as edited by the file beside the problem where there is one."""
    from kerf.kernels.infer import infer_contract

    inferred = infer_contract(problem)
    beside = contract_path(problem.path) if problem.path else None
    if beside is not None and beside.is_file():
        return inferred.edited(beside.read_text(encoding="utf-8"), str(beside))
    return inferred
