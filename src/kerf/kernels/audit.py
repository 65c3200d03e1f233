"""Is a problem degenerate: would an answer that computes nothing pass? And the hardened form in which it does not.

The trivial answers are those known to pass problems in use: zeros, a constant, the input itself, one row repeated, one answer for every
input. Each is judged at KernelBench's tolerances (allclose with atol = rtol = 1e-4 and 1e-2) and at one in proportion to the float32
error of the reference itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from kerf.core.types import KerfError
from kerf.kernels import harden as hardening
from kerf.kernels.copying import copied
from kerf.kernels.problem import KernelProblem, Override, load_problem, load_text, seeded
from kerf.kernels.sizing import shrink
from kerf.kernels.tensors import flat_tensors

SEEDS = 3
FLOAT32_EPS = 2.0**-23
OURS = 16.0  # multiples of the reference's own float32 error that an answer may be off by
PIECE = 1 << 18
FOLDER_BYTES, FOLDER_FLOPS = 48 << 20, 2e9  # larger problems are shrunk before they are audited in a folder
Outputs = list[torch.Tensor]


@dataclass(frozen=True)
class AuditResult:
    """`degenerate`: {"kind", "evidence", "tolerances"} each; kinds: zeros, constant, input, row, independent, argument, nonfinite, random.
    `hardened`: the path of the repaired problem, when one was asked for and found. `sizes`: overrides in force."""

    problem: str
    degenerate: list[dict[str, Any]]
    hardened: str | None = None
    sizes: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def audit(problem: KernelProblem, *, harden: bool = False, folder: Path | None = None) -> AuditResult:
    """Audit at the problem's sizes, on three draws of its inputs. With `harden`, a degenerate problem's repaired form is written to
    `folder` (default: beside the problem) as NAME_hardened.py when one passes the same audit."""
    name = str(problem.path or problem.name)
    found = list(_findings(problem))
    path = _write_hardened(problem, found, folder) if found and harden and problem.file is not None else None
    return AuditResult(name, found, str(path) if path else None, dict(problem.overrides))


def audit_path(
    path: Path,
    overrides: Mapping[str, Override],
    *,
    harden: bool = True,
    watch: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """The JSON of `kerf audit`: one result for a file; for a folder {"problems", "degenerate_count"}, its large problems shrunk
    first, and a file that cannot be audited with its "error"; `watch` is told of each as it ends."""
    if not path.is_dir():
        return _unchecked(path, overrides, harden).as_json()
    files = sorted(p for p in path.rglob("*.py") if _is_problem(p))
    if not files:
        raise KerfError(f"no problems in {path}: none of its *.py files defines Model and get_inputs.")
    rows = []
    for count, file in enumerate(files, 1):
        rows.append(_folder_row(file, overrides, harden))
        watch(f"{count}/{len(files)} {file.relative_to(path)}: {_verdict(rows[-1])}")
    return {"problems": rows, "degenerate_count": sum(bool(r["degenerate"]) for r in rows)}


def _verdict(row: Mapping[str, Any]) -> str:
    if row.get("error"):
        return "not audited"
    return ", ".join(f["kind"] for f in row["degenerate"]) or "sound"


def _is_problem(path: Path) -> bool:
    if path.stem.endswith(hardening.SUFFIX):
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    return "class Model" in text and "def get_inputs" in text


def _unchecked(path: Path, overrides: Mapping[str, Override], harden: bool) -> AuditResult:
    """A random reference is a finding here, not an error."""
    return audit(load_problem(path, overrides, check=False), harden=harden)


def _folder_row(path: Path, overrides: Mapping[str, Override], harden: bool) -> dict[str, Any]:
    try:
        sizes = shrink_sound(path, FOLDER_BYTES, FOLDER_FLOPS, overrides)
        return _unchecked(path, {**overrides, **sizes}, harden).as_json()
    except KerfError as error:
        return {**AuditResult(str(path), []).as_json(), "error": str(error)}


def shrink_sound(
    path: str | Path, max_bytes: int, max_flops: float, overrides: Mapping[str, Override] | None = None
) -> dict[str, int]:
    """`sizing.shrink`, and where the shrunk problem is degenerate, the first other way to shrink it (leaving one of the changed
    sizes alone) that is not; when all are, the first: the problem itself is to blame."""
    given = dict(overrides or {})
    first = shrink(path, max_bytes, max_flops, given)
    if not first or _sound(path, {**given, **first}):
        return first
    for name in first:
        try:
            other = shrink(path, max_bytes, max_flops, given, frozenset([name]))
        except KerfError:
            continue  # it cannot be shrunk enough without this size
        if _sound(path, {**given, **other}):
            return other
    return first


def _sound(path: str | Path, overrides: Mapping[str, Override]) -> bool:
    return not any(True for _ in _findings(load_problem(path, overrides, check=False)))


# ---------------------------------------------------------------- the trivial answers


def _findings(problem: KernelProblem) -> Iterator[dict[str, Any]]:
    inputs = [problem.inputs(problem.seed + 1 + i) for i in range(SEEDS)]
    outputs = [run_reference(problem, args) for args in inputs]
    if not outputs[0]:
        raise KerfError(f"{problem.name}: forward() returns no tensor, so there is nothing to compare.")
    again = run_reference(problem, inputs[0], seed=7)
    noise = reference_error(problem, inputs[0], outputs[0])
    judged = _Judge(noise)
    repeatable = judged.passes([(again, outputs[0])])
    if "ours" not in repeatable:
        failed = [t for t in judged.names if t not in repeatable]
        yield {
            "kind": "random",
            "evidence": f"two calls on the same inputs differ; beyond {', '.join(failed)}",
            "tolerances": failed,
        }
        return
    if not any(bool(o.isfinite().any()) for o in map(_sample, outputs[0])):
        yield _finding("nonfinite", "every output element is NaN or infinite", judged.names)
        return
    for kind, evidence, pairs in _trivial(problem, inputs, outputs):
        passed = judged.passes(pairs)
        if passed:
            yield _finding(kind, evidence, passed)


def _finding(kind: str, evidence: str, tolerances: Sequence[str]) -> dict[str, Any]:
    return {
        "kind": kind,
        "evidence": f"{evidence}; passes at {', '.join(tolerances)}",
        "tolerances": list(tolerances),
    }


Pair = tuple[Outputs, Outputs]
Pair1 = tuple[torch.Tensor, torch.Tensor]


def _trivial(
    problem: KernelProblem, inputs: list[list[Any]], outputs: list[Outputs]
) -> Iterator[tuple[str, str, list[Pair]]]:
    """(kind, evidence, [(answer, truth)]) for each trivial answer that applies."""
    peak = max(max(abs(float(o.min())), abs(float(o.max()))) for o in outputs[0] if o.numel())
    yield (
        "zeros",
        f"largest output {peak:.2g}",
        [([torch.zeros((), dtype=o.dtype) for o in y], y) for y in outputs],
    )
    middle = [_middle(o) for o in outputs[0]]
    if any(o.numel() > 1 for o in outputs[0]):
        yield (
            "constant",
            f"the constant {middle[0]:.4g}",
            [([torch.tensor(c, dtype=o.dtype) for o, c in zip(y, middle, strict=True)], y) for y in outputs],
        )
    yield from _identities(inputs, outputs)
    if all(o.dim() > 1 and o.shape[0] > 1 for o in outputs[0]):
        yield "row", "the first row repeated", [([o[:1] for o in y], y) for y in outputs]
    yield "independent", "the answer to one input is right for others", [(outputs[0], y) for y in outputs[1:]]
    yield from _idle_arguments(problem, inputs, outputs)


def _middle(output: torch.Tensor) -> float:
    low, high = float(output.min()), float(output.max())
    return (low + high) / 2 if math.isfinite(low) and math.isfinite(high) else 0.0


def _identities(inputs: list[list[Any]], outputs: list[Outputs]) -> Iterator[tuple[str, str, list[Pair]]]:
    if len(outputs[0]) != 1:
        return
    for i, value in enumerate(inputs[0]):
        if (
            isinstance(value, torch.Tensor)
            and value.shape == outputs[0][0].shape
            and value.dtype == outputs[0][0].dtype
        ):
            yield (
                "input",
                f"argument {i} itself",
                [([args[i]], y) for args, y in zip(inputs, outputs, strict=True)],
            )


def _idle_arguments(
    problem: KernelProblem, inputs: list[list[Any]], outputs: list[Outputs]
) -> Iterator[tuple[str, str, list[Pair]]]:
    tensors = [i for i, a in enumerate(inputs[0]) if isinstance(a, torch.Tensor)]
    for i in tensors if len(tensors) > 1 else ():
        mixed = [inputs[1][j] if j == i else a for j, a in enumerate(inputs[0])]
        if not torch.equal(mixed[i], inputs[0][i]):
            yield "argument", f"argument {i} does not matter", [(outputs[0], run_reference(problem, mixed))]


class _Judge:
    """Which tolerances a list of (answer, truth) pairs passes, all of them."""

    def __init__(self, noise: list[float]) -> None:
        self.names = ["1e-4", "1e-2", "ours"]
        self.noise = noise

    def passes(self, pairs: Sequence[Pair]) -> list[str]:
        rules: dict[str, Callable[[int, torch.Tensor], torch.Tensor]] = {
            "1e-4": lambda _, y: 1e-4 + 1e-4 * y.abs(),
            "1e-2": lambda _, y: 1e-2 + 1e-2 * y.abs(),
            "ours": lambda i, y: self.noise[i] * OURS + 4 * FLOAT32_EPS * y.abs(),
        }
        return [name for name, rule in rules.items() if all(_within(a, y, rule) for a, y in pairs)]


def _within(answers: Outputs, truths: Outputs, rule: Callable[[int, torch.Tensor], torch.Tensor]) -> bool:
    return all(_close(a, y, rule, i) for i, (a, y) in enumerate(zip(answers, truths, strict=True)))


def _close(
    answer: torch.Tensor, truth: torch.Tensor, rule: Callable[[int, torch.Tensor], torch.Tensor], i: int
) -> bool:
    """Every element within the rule; by pieces, a sample first, so that the usual answer (no) comes without a pass over everything."""
    a, y = answer.broadcast_to(truth.shape).reshape(-1), truth.reshape(-1)
    return all(_piece_close(x, z, rule, i) for x, z in _pieces(a, y))


def _pieces(a: torch.Tensor, y: torch.Tensor) -> Iterator[Pair1]:
    if y.numel() > PIECE:
        sample = torch.randint(y.numel(), (1 << 14,), generator=torch.Generator().manual_seed(0))
        yield a[sample], y[sample]
    yield from zip(a.split(PIECE), y.split(PIECE), strict=True)


def _piece_close(
    answer: torch.Tensor, truth: torch.Tensor, rule: Callable[[int, torch.Tensor], torch.Tensor], i: int
) -> bool:
    if not truth.dtype.is_floating_point:
        return torch.equal(answer, truth)
    a, y = answer.double(), truth.double()
    same = (a == y) | (a.isnan() & y.isnan())
    return bool((same | ((a - y).abs() <= rule(i, y))).all())


# ---------------------------------------------------------------- running the reference


def run_reference(problem: KernelProblem, args: Sequence[Any], seed: int = 0) -> Outputs:
    """The outputs of a fresh copy of the reference; KerfError when it raises."""
    fresh = [a.clone() if isinstance(a, torch.Tensor) else a for a in args]
    try:
        with seeded(seed), torch.no_grad():
            return [o.detach() for o in flat_tensors(problem.fresh_module()(*fresh))]
    except Exception as error:
        raise KerfError(
            f"{problem.name}: the reference's forward() raised {type(error).__name__}: {error}"
        ) from error


def reference_error(problem: KernelProblem, args: Sequence[Any], outputs: Outputs) -> list[float]:
    """The largest difference between the reference in its own precision and in float64, an output each; a few units in the last place
    of the output where it cannot run in float64."""
    wide = [a.double() if isinstance(a, torch.Tensor) and a.dtype.is_floating_point else a for a in args]
    floor = [
        8 * FLOAT32_EPS * float(_sample(o).abs().nan_to_num(0, 0, 0).mean()) if o.numel() else 0.0
        for o in outputs
    ]
    try:
        with seeded(0), torch.no_grad():
            exact = [o.double() for o in flat_tensors(copied(problem.module).double()(*wide))]
    except Exception:
        return floor
    gaps = [(_sample(o) - _sample(e)).abs().nan_to_num(0, 0, 0) for o, e in zip(outputs, exact, strict=True)]
    return [max(float(g.max()) if g.numel() else 0.0, f / 8) for g, f in zip(gaps, floor, strict=True)]


def _sample(value: torch.Tensor) -> torch.Tensor:
    """Up to PIECE elements, in float64."""
    flat = value.reshape(-1)
    if flat.numel() <= PIECE:
        return flat.double()
    return flat[torch.randint(flat.numel(), (PIECE,), generator=torch.Generator().manual_seed(1))].double()


# ---------------------------------------------------------------- the hardened form


def _write_hardened(problem: KernelProblem, found: list[dict[str, Any]], folder: Path | None) -> Path | None:
    """The first repair after which no trivial answer passes at any tolerance; failing that, the first at ours; else None."""
    second: str | None = None
    for text in hardening.repairs(problem):
        left = _left(text, problem)
        if left == []:
            return hardening.write(problem, text, folder)
        if second is None and left is not None and not any("ours" in f["tolerances"] for f in left):
            second = text
    helps = any("ours" in f["tolerances"] for f in found)
    return hardening.write(problem, second, folder) if second is not None and helps else None


def _left(text: str, problem: KernelProblem) -> list[dict[str, Any]] | None:
    """What is still degenerate in a repaired text; None when it does not run."""
    try:
        return list(
            _findings(load_text(text, problem.overrides, seed=problem.seed, name=problem.name, check=False))
        )
    except KerfError:
        return None
