"""State that a module keeps from one call to the next, in buffers or as plain attributes that forward() assigns.

torch.export follows buffers: it reports what a call writes to them. Plain attributes it forgets, or refuses. So a module is
captured again with the attributes that it assigned as buffers for as long as that takes. A result that depends on what earlier
calls left is refused: a reference that answers differently each time cannot be checked, and a kernel that forgot would pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch

from kerf.core.types import KerfError
from kerf.kernels.ir import Program, Role, outputs_of, reads_of

Attributes = dict[str, torch.Tensor]


def plain_tensors(module: torch.nn.Module) -> Attributes:
    """Tensors that are attributes, but neither parameters nor buffers, by their path."""
    return {
        f"{path}.{name}" if path else name: value
        for path, part in module.named_modules()
        for name, value in vars(part).items()
        if isinstance(value, torch.Tensor)
    }


@contextmanager
def assignments(module: torch.nn.Module) -> Iterator[Attributes]:
    """What is traced here and assigned to plain attributes of the module, by their path: the last value of each."""
    paths = {id(part): path for path, part in module.named_modules()}
    found: Attributes = {}
    original = torch.nn.Module.__setattr__

    def watched(part: torch.nn.Module, name: str, value: object) -> None:
        traced = isinstance(value, torch.Tensor) and type(value) is not torch.Tensor
        if traced and id(part) in paths and name not in part._buffers and name not in part._parameters:
            found[f"{paths[id(part)]}.{name}".lstrip(".")] = value  # type: ignore[assignment]
        original(part, name, value)  # type: ignore[arg-type]

    torch.nn.Module.__setattr__ = watched  # type: ignore[assignment, method-assign]
    try:
        yield found
    finally:
        torch.nn.Module.__setattr__ = original  # type: ignore[method-assign]


@contextmanager
def as_buffers(module: torch.nn.Module, attributes: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """While this is open, these attributes are buffers with these values. Whoever opens it restores the attributes."""
    owners = {path: module.get_submodule(path.rpartition(".")[0]) for path in attributes}
    for path, owner in owners.items():
        name = path.rpartition(".")[2]
        vars(owner).pop(name, None)
        if hasattr(owner, name):
            raise KerfError(
                f"{type(module).__name__} keeps {path!r} from call to call in a way that cannot be traced. {ADVICE}"
            )
        owner.register_buffer(name, attributes[path], persistent=False)
    try:
        yield
    finally:
        for path, owner in owners.items():
            name = path.rpartition(".")[2]
            owner._buffers.pop(name, None)
            owner._non_persistent_buffers_set.discard(name)


ADVICE = "Take the state as an argument and return the new one (def forward(self, x, hidden): ... return out, hidden)."


def remembers(name: str, keys: Iterable[str]) -> KerfError:
    return KerfError(
        f"{name} remembers: what it returns depends on {', '.join(repr(k) for k in sorted(keys))}, which its own last call left "
        "there. A reference that answers the same inputs differently each time cannot be checked, and a kernel that forgot would "
        f"pass. {ADVICE}"
    )


def refuse_remembering(name: str, program: Program) -> None:
    """KerfError where a result depends on state that the same call replaces."""
    own = {
        b.name
        for b in program.buffers.values()
        if b.role is Role.PARAM and b.source in program.updates.values()
    }
    needed = set(program.outputs)
    for op in reversed(program.ops):
        if needed & {b.name for b in outputs_of(op)}:
            needed.update(reads_of(op))
    kept = {program.buffers[n].source for n in own & needed}
    if kept:
        raise remembers(name, kept)
