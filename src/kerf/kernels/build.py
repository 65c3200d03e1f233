"""From a problem to candidates: the program, the drop-in's signature, and the files of any point of the space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from operator import attrgetter
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from kerf.core.types import Candidate, KerfError
from kerf.kernels.assemble import Assembly, Plan, assemble
from kerf.kernels.dropin import Signature, dropin, of_type
from kerf.kernels.ir import Library, Program, Role, reads_of
from kerf.kernels.problem import KernelProblem
from kerf.kernels.problem_file import text_with
from kerf.kernels.remembered import refuse_remembering
from kerf.kernels.schedule import Value
from kerf.kernels.space import KernelSpace
from kerf.kernels.targets.cpu import Chip, native
from kerf.toolchain.compilers import native_flags


@dataclass(frozen=True)
class Builder:
    """`program` is the problem's module in the tensor IR, for the chip and at most `threads` threads."""

    problem: KernelProblem
    program: Program
    constants: Mapping[str, torch.Tensor]
    chip: Chip
    threads: int

    @cached_property
    def plan(self) -> Plan:
        return Plan(self.program)

    @cached_property
    def space(self) -> KernelSpace:
        return KernelSpace(self.plan, self.chip, self.threads, self.files)

    def assembly(self, point: Mapping[str, Value]) -> Assembly:
        return assemble(self.plan, point, self.chip, self.threads, self.problem.name)

    def files(self, point: Mapping[str, Value], custom_op: str = "") -> dict[str, str]:
        flags = native_flags(self.chip.machine, self.chip.vector_bits)
        return dropin(self.assembly(point), self._signature, flags, custom_op)

    @cached_property
    def _signature(self) -> Signature:
        args = self.problem.inputs()
        with torch.no_grad():
            result = self.problem.fresh_module()(*args)
        return Signature(
            title=self.problem.name,
            state=_state(self.problem.module),
            constants=self.constants,
            kept=_kept(self.program, self.problem.module),
            values=[x for x in tree_leaves(args) if not isinstance(x, torch.Tensor)],
            returns=_numbered(result, count()),
        )


def builder(problem: KernelProblem, threads: int, chip: Chip | None = None) -> Builder:
    """Capture and lower the problem's module. KerfError where torch.export cannot follow it."""
    from kerf.kernels.lower import lower_module

    program = lower_module(
        problem.module, problem.inputs()
    )  # a copy's closures would still see the original's weights
    refuse_remembering(problem.name, program)
    if empty := _empty(program):
        raise KerfError(
            f"{problem.name} works on empty tensors ({', '.join(empty[:3])}): there is nothing to make faster"
        )
    return Builder(problem, program, _constants(program, problem.module), chip or native(), threads)


def _empty(program: Program) -> list[str]:
    """Buffers without an element, except what library calls return besides and nobody reads."""
    read = {*program.inputs, *program.outputs, *(n for op in program.ops for n in reads_of(op))}
    made = {b.name for op in program.ops if isinstance(op, Library) for b in op.outs}
    return [b.name for b in program.buffers.values() if b.size == 0 and b.name not in made - read]


def _constants(program: Program, module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Tensors of the module that its state dict does not hold (plain attributes, non-persistent buffers), by attribute path, and that
    no call changes."""
    held = {*module.state_dict(), *program.updates.values()}
    sources = [b.source for b in program.buffers.values() if b.role is Role.PARAM and b.source not in held]
    return {path: _as_read(attrgetter(path)(module).detach()) for path in sources}


def _as_read(t: torch.Tensor) -> torch.Tensor:
    """Complex numbers as the pairs that kernels read."""
    return torch.view_as_real(t.resolve_conj()) if t.is_complex() else t


def _kept(program: Program, module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The same, of those that a call changes: what they hold before the first."""
    held = module.state_dict()
    return {path: attrgetter(path)(module).detach() for path in program.updates.values() if path not in held}


def _numbered(result: Any, numbers: Iterator[int]) -> Any:
    """The structure of a result with its tensors numbered in order."""
    if isinstance(result, torch.Tensor):
        return next(numbers)
    if isinstance(result, dict):
        return {k: _numbered(v, numbers) for k, v in result.items()}
    if isinstance(result, list | tuple):
        made = [_numbered(v, numbers) for v in result]
        return made if isinstance(result, list) else of_type(result, made)
    return None


def _state(module: torch.nn.Module) -> tuple[tuple[str, tuple[int, ...], torch.dtype, bool], ...]:
    trained = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    return tuple((k, tuple(v.shape), v.dtype, k in trained) for k, v in module.state_dict().items())


def library_candidate(problem: KernelProblem) -> Candidate | None:
    """The reference itself as a candidate: PyTorch's library, as the user wrote it. None where there is no source file."""
    if problem.file is None:
        return None
    text = text_with(problem.file, problem.overrides)  # classes may read sizes
    text += "\n\n# The library as it is: no generated kernel was faster.\nModelNew = Model\n"
    return Candidate({"kernel.py": text}, proposer="library", notes={"point": None})
