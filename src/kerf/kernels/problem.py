"""A kernel problem: a PyTorch module, how its inputs are drawn, and the sizes that may change."""

from __future__ import annotations

import hashlib
import inspect
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from kerf.core.types import KerfError, content_hash
from kerf.kernels import cost, problem_file
from kerf.kernels.copying import copied
from kerf.kernels.cost import Cost
from kerf.kernels.problem_file import ProblemFile
from kerf.kernels.tensors import flat_tensors

if TYPE_CHECKING:
    from kerf.kernels.contract import Contract

Override = str | int | float


@dataclass(frozen=True, eq=False)
class KernelProblem:
    """`module` is in the mode its file leaves it in (train, as KernelBench has it) with weights fixed by `seed`. `sizes` are the
    independent integers that may be overridden. `key` names the content: source, overrides, seed."""

    name: str
    key: str
    source: str
    module: nn.Module
    init_inputs: tuple[Any, ...]
    sizes: Mapping[str, int]
    overrides: Mapping[str, Any]
    seed: int
    path: Path | None
    file: ProblemFile | None
    draw_inputs: Callable[[int], list[Any]] = field(repr=False)

    def inputs(self, seed: int | None = None) -> list[Any]:
        """Fresh example arguments of forward(), in order: what the file's get_inputs() gives under `seed` (default: the
        problem's own). The same seed gives the same values."""
        return self.draw_inputs(self.seed if seed is None else seed)

    @cached_property
    def contract(self) -> Contract:
        """What the inputs may be: the file beside the problem (`NAME.contract.toml`) where there is one, else inferred."""
        from kerf.kernels.contract import contract_of

        return contract_of(self)

    @cached_property
    def cost(self) -> Cost:
        """FLOPs and bytes of one call, without running it where it is large and the reference allows that."""
        return _cost_of(self)

    def flops_bytes(self) -> tuple[int, int]:
        """(floating-point operations, bytes of inputs + parameters + outputs) of one call; see `cost.Cost`."""
        return self.cost.flops, self.cost.bytes

    @property
    def products(self) -> int:
        """Those of the floating-point operations that float32 matrix products and convolutions are made of."""
        return self.cost.products

    def fresh_module(self) -> nn.Module:
        """A copy of the module: running it leaves the problem's own state (batch-norm statistics) alone."""
        return copied(self.module)

    def resized(self, **overrides: Override) -> KernelProblem:
        """The same problem with these sizes overridden besides those that were. KerfError for a module that came without
        a file, or when the sizes do not run."""
        if self.file is None:
            raise KerfError(
                f"{self.name} was made from a module, so it has no sizes to change; build it again at other sizes."
            )
        return _load(self.file, {**self.overrides, **overrides}, self.seed)

    def ragged(self, k: int) -> KernelProblem | None:
        """The problem at its k-th set of odd sizes (primes, ones) that runs, or None when no other size does."""
        from kerf.kernels.sizing import ragged_overrides

        overrides = ragged_overrides(self, k)
        return self.resized(**overrides) if overrides else None

    def describe(self) -> str:
        """What a person or a model reads: source, sizes in force, inputs."""
        shown = ", ".join(f"{k}={v}" for k, v in self.overrides.items())
        head = f"# {self.name}" + (f" with {shown}" if shown else "")
        return f"{head}\n\n{self.source.strip()}\n\n# inputs\n{self.contract.text()}\n"

    def check(self) -> None:
        """KerfError when the reference returns no tensor, raises, or is random beyond float32 noise."""
        if self.cost.returned != "tensor":
            raise KerfError(
                f"{self.name}: forward() returns {self.cost.returned}, not a tensor. Return a tensor or a tuple of tensors."
            )
        if self.cost.random:
            self._check_repeatable()

    def _check_repeatable(self) -> None:
        first, second = (self._output(seed) for seed in (1, 2))
        spread = max(relative_difference(a, b) for a, b in zip(first, second, strict=True))
        if spread > 1e-5:
            raise KerfError(
                f"{self.name}: the reference is random: two calls on the same inputs differ by {spread:.1e} of the output's scale "
                f"({', '.join(self.cost.random)}), so no answer can be checked against it. Set its probability to zero "
                "(for instance --set dropout_p=0.0), pass the random values in as inputs, or use `kerf audit`, which writes a hardened form."
            )

    def _output(self, seed: int) -> list[torch.Tensor]:
        module, args = self.fresh_module(), self.inputs()
        with seeded(seed), torch.no_grad():
            return list(flat_tensors(module(*args)))


def load_problem(
    path: str | Path, overrides: Mapping[str, Override] | None = None, *, seed: int = 0, check: bool = True
) -> KernelProblem:
    """Load a file in KernelBench's layout. `overrides` replace module-level sizes where they are bound (values may be text, as
    a command line gives them; an element of a tuple is `name[i]`). Weights are drawn under `seed`.

    Raises KerfError, which says what, where and what to do, for: a missing or broken file, an unknown override, sizes that do not
    fit this machine's memory, a module or inputs that raise, and with `check` a reference that is random or returns no tensor."""
    problem = _load(problem_file.read_file(path), dict(overrides or {}), seed)
    if check:
        problem.check()
    return problem


def load_text(
    text: str,
    overrides: Mapping[str, Override] | None = None,
    *,
    seed: int = 0,
    name: str = "problem",
    check: bool = True,
) -> KernelProblem:
    """The same from the text of a file."""
    problem = replace(_load(ProblemFile(text), dict(overrides or {}), seed), name=name)
    if check:
        problem.check()
    return problem


def from_module(
    module: nn.Module, inputs: Sequence[Any], name: str | None = None, *, seed: int = 0
) -> KernelProblem:
    """A problem from a module and example inputs. Inputs under other seeds are drawn from the inferred contract."""
    if not isinstance(module, nn.Module):
        raise KerfError(
            f"expected a torch.nn.Module, got {type(module).__name__}; wrap the function in a module's forward()."
        )
    examples = [a.detach().clone() if isinstance(a, torch.Tensor) else a for a in inputs]
    _check_inputs(examples, "the given inputs")
    source = _source_of(module)
    problem = KernelProblem(
        name=name or type(module).__name__,
        key=content_hash([source, _digest(module.state_dict()), _digest(dict(enumerate(examples))), seed]),
        source=source,
        module=module,
        init_inputs=(),
        sizes={},
        overrides={},
        seed=seed,
        path=None,
        file=None,
        draw_inputs=lambda s: _like(problem, examples, s),
    )
    problem.check()
    return problem


def _like(problem: KernelProblem, examples: list[Any], seed: int) -> list[Any]:
    if seed == problem.seed:
        return [a.clone() if isinstance(a, torch.Tensor) else a for a in examples]
    return problem.contract.draw(torch.Generator().manual_seed(seed), "given")


# ---------------------------------------------------------------- loading


def _load(file: ProblemFile, overrides: dict[str, Override], seed: int) -> KernelProblem:
    values = {k: problem_file.parse_value(v) for k, v in overrides.items()}
    namespace = problem_file.execute(file, values)
    _check_memory(file, namespace)
    with seeded(seed):
        init = list(_guard(file, "get_init_inputs()", getattr(namespace, "get_init_inputs", list)))
    with seeded(seed):
        module = _guard(file, "Model(*get_init_inputs())", lambda: _construct(namespace, init))
    return KernelProblem(
        name=file.name,
        key=content_hash([file.text, sorted((k, repr(v)) for k, v in values.items()), seed]),
        source=file.text,
        module=module,
        init_inputs=tuple(init),
        sizes=problem_file.sizes(file, namespace),
        overrides=values,
        seed=seed,
        path=file.path,
        file=file,
        draw_inputs=lambda s: _draw(file, namespace, s),
    )


def _construct(namespace: Any, init: list[Any]) -> nn.Module:
    """KernelBench passes init inputs as positional arguments; a dict means keywords."""
    return namespace.Model(**init) if isinstance(init, dict) else namespace.Model(*init)


def _draw(file: ProblemFile, namespace: Any, seed: int) -> list[Any]:
    with seeded(seed):
        args = _guard(file, "get_inputs()", namespace.get_inputs)
    if not isinstance(args, list | tuple):
        raise KerfError(
            f"{file.where}: get_inputs() returned {type(args).__name__}; it must return a list of forward()'s arguments."
        )
    _check_inputs(args, f"{file.where}: get_inputs()")
    return list(args)


def _check_inputs(args: Sequence[Any], where: str) -> None:
    for i, value in enumerate(args):
        if isinstance(value, torch.Tensor) and (value.device.type != "cpu" or value.layout != torch.strided):
            raise KerfError(
                f"{where}: argument {i} is on {value.device} with layout {value.layout}; kerf needs dense tensors on the CPU."
            )
        if not isinstance(value, torch.Tensor | int | float | bool | str | type(None)):
            raise KerfError(
                f"{where}: argument {i} is a {type(value).__name__}; kerf takes tensors and plain numbers, in a flat list."
            )
    if not any(isinstance(a, torch.Tensor) for a in args):
        raise KerfError(
            f"{where}: there is no tensor among the arguments, so there is nothing to compute on."
        )


def _guard(file: ProblemFile, what: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except KerfError:
        raise
    except Exception as error:
        line = problem_file.line_of(error, file)
        raise KerfError(
            f"{file.where}: {what} raised {type(error).__name__}: {error}{line}. Sizes that do not fit each other are the usual cause."
        ) from error


# ---------------------------------------------------------------- cost and memory


def cost_at(namespace: Any) -> Cost | None:
    """Cost of the file's problem at the sizes in force, without allocating it where it is large; None where that needs real
    values, and where it does not run."""
    return _tried(cost.measure, namespace)


def fake_cost(namespace: Any) -> Cost | None:
    """The same over fake tensors whatever the size: quicker for many sizes of a large problem."""
    return _tried(cost.measure_fake, namespace)


def _tried(measure: Callable[..., Cost], namespace: Any) -> Cost | None:
    try:
        with seeded(0):
            init = list(getattr(namespace, "get_init_inputs", list)())
            return measure(lambda: _construct(namespace, init), namespace.get_inputs)
    except KerfError:
        raise
    except Exception:
        return None


def _check_memory(file: ProblemFile, namespace: Any) -> None:
    have = available_memory()
    if (
        static_bytes(namespace) < have // 64
    ):  # temporaries are not 64 times larger; a fake pass over a network takes seconds
        return
    found = fake_cost(namespace)
    if found is not None and found.resident > have:
        need = f"about {found.resident / 2**30:.1f} GiB (inputs {found.input_bytes / 2**30:.1f}, parameters {found.param_bytes / 2**30:.1f}, outputs {found.output_bytes / 2**30:.1f})"
        names = ", ".join(f"{k}={v}" for k, v in problem_file.sizes(file, namespace).items())
        raise KerfError(
            f"{file.where} needs {need}, and {have / 2**30:.1f} GiB is free. Shrink it with --set; its sizes: {names}."
        )


def static_bytes(namespace: Any) -> int:
    """Bytes of inputs and parameters; 0 where they cannot be made without real values."""
    try:
        with seeded(0):
            return cost.static_bytes(
                lambda: _construct(namespace, list(getattr(namespace, "get_init_inputs", list)())),
                namespace.get_inputs,
            )
    except Exception:
        return 0


def available_memory() -> int:
    """Bytes that can be allocated now: what the kernel calls available, within this process's control group."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    info = Path("/proc/meminfo")
    if info.exists():
        free = next(
            (
                int(line.split()[1]) * 1024
                for line in info.read_text().splitlines()
                if line.startswith("MemAvailable")
            ),
            free,
        )
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        free = min(free, int(limit.read_text()) - int(used.read_text()) + _reclaimable())
    return free


def _reclaimable() -> int:
    """File cache that counts as used in the control group but goes when needed."""
    stat = Path("/sys/fs/cgroup/memory.stat")
    lines = stat.read_text().splitlines() if stat.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)


def _cost_of(problem: KernelProblem) -> Cost:
    """By `measure_module`; by a real run of any size where the reference needs real values."""
    args = problem.inputs()
    try:
        with seeded(problem.seed):
            return cost.measure_module(problem.module, args)
    except Exception:
        return _measured_cost(problem, args)


def _measured_cost(problem: KernelProblem, args: list[Any]) -> Cost:
    try:
        with seeded(problem.seed):
            return cost.measure_real(problem.fresh_module(), args)
    except Exception as error:
        line = problem_file.line_of(error, problem.file) if problem.file else ""
        raise KerfError(
            f"{problem.name}: the reference's forward() raised {type(error).__name__}: {error}{line}. "
            "Check that get_inputs() and the sizes fit the model."
        ) from error


# ---------------------------------------------------------------- small pieces


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Every global generator that a problem file may use, seeded inside and restored after."""
    python, array, tensor = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(array)
        torch.set_rng_state(tensor)


def relative_difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest |a - b| over the root mean square of a; 0 for equal tensors (NaN equals NaN), infinity for unequal shapes."""
    if a.shape != b.shape:
        return float("inf")
    if torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)):
        return 0.0
    x, y = a.double(), b.double()
    return float((x - y).abs().nan_to_num(posinf=float("inf")).max() / (x.square().mean().sqrt() + 1e-300))


def _digest(tensors: Mapping[Any, Any]) -> str:
    digest = hashlib.sha256()
    for key, value in tensors.items():
        digest.update(
            repr((key, str(getattr(value, "dtype", "")), tuple(getattr(value, "shape", ())))).encode()
        )
        if isinstance(value, torch.Tensor):
            plain = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
            digest.update(plain.flatten().view(torch.uint8).numpy().tobytes())
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()


def _source_of(module: nn.Module) -> str:
    try:
        return inspect.getsource(type(module))
    except (OSError, TypeError):
        return repr(module)
