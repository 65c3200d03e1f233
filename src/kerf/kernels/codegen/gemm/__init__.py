"""Kernels of `Contract` ops: every form of matrix multiplication, with elementwise work before and after it."""

from __future__ import annotations

from collections.abc import Mapping

from kerf.kernels.codegen.gemm import amx, choices, panel, plain, stream
from kerf.kernels.codegen.gemm.analysis import Problem, analyse
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.ir import DType, Group
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import Chip


class GemmTemplate:
    name = "gemm"

    def accepts(self, group: Group) -> bool:
        problem = analyse(group)
        return problem is not None and all(a.extent > 0 for a in (*problem.main.axes, *problem.main.raxes))

    def decisions(self, group: Group, chip: Chip, threads: int) -> tuple[Decision, ...]:
        problem = _problem(group)
        return choices.decisions(problem, chip, threads) if _blocked(problem) else ()

    def emit(
        self, group: Group, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> Emitted:
        problem = _problem(group)
        if not _blocked(problem):
            return plain.emit(problem, threads, symbol)
        algorithm = choices.get("algorithm", "panel")
        writer = panel if algorithm == "panel" else amx if algorithm == "amx" else stream
        return writer.emit(problem, choices, chip, threads, symbol)


def _problem(group: Group) -> Problem:
    problem = analyse(group)
    if problem is None:
        raise ValueError(f"group {group.name} is not a contraction with an elementwise epilogue")
    return problem


def _blocked(problem: Problem) -> bool:
    return problem.acc in (DType.F32, DType.F64)


TEMPLATE = GemmTemplate()
