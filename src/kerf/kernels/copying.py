"""Copies of modules that share nothing with the original, what their functions hold on to included."""

from __future__ import annotations

import copy
from types import CellType, FunctionType
from typing import Any, TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def copied(module: Module) -> Module:
    """A deep copy. `copy.deepcopy` passes functions on as they are, so that a lambda kept in a module (`self.mlp = lambda x: m(x)`) would go on
    using the original's parameters: here it holds the copy's."""
    memo: dict[int, Any] = {}
    new = copy.deepcopy(module, memo)
    for part in new.modules():
        for name, value in vars(part).items():
            if isinstance(value, FunctionType) and _holds_modules(value):
                part.__dict__[name] = _rebound(value, memo)
    return new


def _holds_modules(function: FunctionType) -> bool:
    held = [
        *(function.__defaults__ or ()),
        *(c.cell_contents for c in function.__closure__ or () if _filled(c)),
    ]
    return any(isinstance(value, nn.Module | nn.Parameter) for value in held)


def _filled(cell: CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _rebound(function: FunctionType, memo: dict[int, Any]) -> FunctionType:
    cells = tuple(
        CellType(copy.deepcopy(c.cell_contents, memo)) if _filled(c) else c
        for c in function.__closure__ or ()
    )
    defaults = copy.deepcopy(function.__defaults__, memo)
    new = FunctionType(function.__code__, function.__globals__, function.__name__, defaults, cells or None)
    new.__kwdefaults__, new.__dict__ = function.__kwdefaults__, dict(function.__dict__)
    return new
