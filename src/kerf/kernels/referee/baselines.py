"""What a candidate is compared with: the reference eager, compiled by torch.compile, and on oneDNN. Each in a trusted worker of its own
that calls it through the same loop as the candidate."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from kerf.core.types import KerfError
from kerf.kernels.copying import copied
from kerf.kernels.problem import KernelProblem
from kerf.kernels.referee.onednn import onednn_module

NAMES = ("eager", "compile", "onednn")


@dataclass(frozen=True)
class Baseline:
    """`make` gives the module inside the worker; `first_s`: how long its first call may take (compilers are slow)."""

    name: str
    make: Callable[[], Any]
    first_s: float


def baselines_of(problem: KernelProblem, names: Sequence[str], time_limit_s: float) -> list[Baseline]:
    """The wanted ones that apply, eager first. KerfError for an unknown name."""
    unknown = set(names) - set(NAMES)
    if unknown:
        raise KerfError(f"no baseline named {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    found = [Baseline("eager", lambda: copied(problem.module), time_limit_s)]
    if "compile" in names:
        _import_compiler()
        found.append(Baseline("compile", lambda: _compiled(problem.module), max(300.0, time_limit_s)))
    if "onednn" in names:
        made = _onednn(problem)
        if made is not None:
            found.append(Baseline("onednn", lambda: made, time_limit_s))
    return found


def _onednn(problem: KernelProblem) -> Any:
    try:
        return onednn_module(problem.module, problem.inputs())
    except (RuntimeError, NotImplementedError, TypeError, AttributeError):
        return None  # oneDNN has no kernel for these shapes or this processor


def _import_compiler() -> None:
    """Here, once, rather than in every worker that is forked to compile (1.3 s of CPU time each)."""
    import torch._inductor.config as config

    with config.patch(compile_threads=1):  # else importing it starts a pool of processes
        importlib.import_module("torch._inductor.compile_fx")


def _compiled(module: Any) -> Any:
    import torch._inductor.config as config

    config.compile_threads = 1  # a pool of compiler processes would outlive the worker
    return torch.compile(copied(module))


def empty_source(like: Sequence[torch.Tensor]) -> str:
    """A candidate that returns tensors that are there already, through either interface: what is left is the cost of the call itself and,
    for a module, of copying the result out."""
    shapes = [(tuple(t.shape), str(t.dtype).removeprefix("torch.")) for t in like]
    return EMPTY.format(shapes=shapes)


EMPTY = """import torch
class ModelNew(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.results = tuple(torch.zeros(shape, dtype=getattr(torch, name)) for shape, name in {shapes})
    def forward(self, *args):
        return self.results
    def run(self, *args):
        return None
"""
