"""The Python half of a drop-in: one readable file with `ModelNew` around the generated C, with no import of kerf."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from kerf.core.types import KerfError
from kerf.kernels.assemble import Assembly, Segment
from kerf.kernels.codegen.standalone import TORCH_DTYPE
from kerf.kernels.ir import Buffer, DType, Library, Ref, Role
from kerf.kernels.tensors import inverse

SOURCE = "kernel.c"
_CONSTANTS = re.compile(r"# <<CONSTANTS\n.*?# CONSTANTS>>\n", re.S)
_STEPS = "        _CALLS(table, packed, scratch, threads, tensors, out)  # <<STEPS>>"


@dataclass(frozen=True)
class Signature:
    """What a drop-in must look like from outside. `state`: (key, shape, dtype, trained) of the original's state dict, in order;
    `constants`: tensors the program reads that the state dict lacks, by `Buffer.source`; `kept`: those that a call changes, as they are
    before the first; `values`: the plain (non-tensor)
    arguments it was built for; `returns`: what forward() returns, with the number of an
    output in place of each tensor."""

    title: str
    state: tuple[tuple[str, tuple[int, ...], torch.dtype, bool], ...]
    constants: Mapping[str, torch.Tensor]
    kept: Mapping[str, torch.Tensor] = field(default_factory=dict)
    values: Sequence[Any] = ()
    returns: Any = 0


def dropin(
    assembly: Assembly, signature: Signature, flags: Sequence[str], custom_op: str = ""
) -> dict[str, str]:
    """The candidate's files: kernel.py, kernel.c and manifest.json. `custom_op` ("namespace::name") also registers the call as a
    torch.library custom operator."""
    template = files("kerf.kernels").joinpath("dropin_template.py").read_text()
    body = template[template.index("from __future__") :]
    constants = _constants(assembly, signature, flags)
    body = _CONSTANTS.sub(lambda _: constants, body).replace(_STEPS, _steps(assembly))
    text = (
        f'"""{_docstring(assembly, signature)}"""\n\n' + body + (_custom_op(custom_op) if custom_op else "")
    )
    return {
        "kernel.py": text,
        SOURCE: assembly.source,
        "manifest.json": json.dumps(_manifest(assembly, flags), indent=1) + "\n",
    }


def _manifest(assembly: Assembly, flags: Sequence[str]) -> dict[str, Any]:
    orders = [list(assembly.program.buffers[n].given_order) for n in assembly.program.outputs]
    return {
        "format": 1,
        "entry": "kernel.py",
        "interface": "native",
        "shapes": "exact",
        "threads": assembly.threads,
        "sources": {SOURCE: {"output": "kernel.so", "flags": list(flags)}},
        "parameters": dict(assembly.schedule),
        "provenance": assembly.provenance,
        **({"orders": orders} if any(orders) else {}),
    }


def _docstring(assembly: Assembly, signature: Signature) -> str:
    generated = sum(p["by"] == "generated" for p in assembly.provenance)
    library = [p["what"] for p in assembly.provenance if p["by"] == "library"]
    lines = [
        f"{signature.title}: a drop-in replacement, with its C in {SOURCE} beside this file.",
        "",
        "    from kernel import ModelNew",
        "    fast = ModelNew.from_module(model)      # same weights; other shapes go to `model`",
        "",
        f"{generated} generated kernel{'s' if generated != 1 else ''}"
        + (f"; library calls: {', '.join(library)}." if library else "; no library calls."),
        "Needs torch, and a C compiler the first time it is imported on a machine.",
    ]
    return "\n".join(lines).replace("\\", "/").replace('"""', "'''") + "\n"


def _constants(assembly: Assembly, signature: Signature, flags: Sequence[str]) -> str:
    program, slot = assembly.program, {b.name: i for i, b in enumerate(assembly.table)}
    params = [b for b in assembly.table if b.role is Role.PARAM]
    held = [b for b in params if b.source in signature.constants]
    keyed = [b for b in params if b.source not in signature.constants]
    temps = [b for b in assembly.table if b.name in assembly.offsets]
    given, outputs = ([program.buffers[n] for n in names] for names in (program.inputs, program.outputs))
    made = {b.name for p in assembly.pieces if p.group for b in p.group.outputs}
    rows = {
        "SOURCE": repr(SOURCE),
        "FLAGS": repr(list(flags)),
        "INPUTS": _listed(f"({b.name!r}, {b.given!r}, {_dtype(b)})" for b in given),
        "ORDERS": _orders(given),
        "VALUES": repr(list(signature.values)),
        "OUTPUTS": _listed(f"({b.name!r}, {b.given!r}, {_dtype(b)})" for b in outputs),
        "OUTPUT_ORDERS": _orders(outputs),
        "RETURNS": _structure(signature.returns),
        "STATE": _listed(f"({k!r}, {s!r}, {d}, {t!r})" for k, s, d, t in signature.state),
        "KEPT": _listed(f"({k!r}, {_start(assembly, k, v)})" for k, v in signature.kept.items()),
        "PARAMS": _listed(f"({slot[b.name]}, {b.source!r})" for b in keyed),
        "CONSTANTS": _listed(
            f"({slot[b.name]}, {_encoded(TORCH_DTYPE[b.dtype], signature.constants[b.source])})" for b in held
        ),
        "TEMPS": _listed(
            f"({slot[b.name]}, {assembly.offsets[b.name]}, {b.shape!r}, {TORCH_DTYPE[b.dtype]})"
            for b in temps
        ),
        "SLOTS": str(len(assembly.table)),
        "INPUT_SLOTS": repr([slot[n] for n in program.inputs]),
        "OUTPUT_SLOTS": repr(
            [
                slot[n] if _written_by_kernel(program, n, made, i) else -1
                for i, n in enumerate(program.outputs)
            ]
        ),
        "HANDED": repr(_handed(assembly)),
        "WORKSPACE_BYTES": str(assembly.workspace_bytes),
        "SCRATCH_BYTES": str(assembly.scratch_bytes),
        "PACKED_BYTES": repr([p.bytes for p in assembly.packed]),
        "THREADS": str(assembly.threads),
    }
    notes = {
        "INPUTS": "tensors that forward() takes, in order: name, shape, dtype",
        "ORDERS": "the dimensions of each, outermost in memory first, where that is not their own order",
        "OUTPUT_ORDERS": "the same of results",
        "HANDED": "results that are tensors as a library made them",
        "STATE": "the original's state dict: key, shape, dtype, is it a parameter",
        "KEPT": "attributes of the original that a call changes, and what they hold before the first",
        "PARAMS": "slot in the pointer table, state-dict key",
        "TEMPS": "slot, byte offset in the workspace, shape, dtype",
    }
    return "\n".join((f"# {notes[k]}\n" if k in notes else "") + f"{k} = {v}" for k, v in rows.items())


def _orders(buffers: Sequence[Buffer]) -> str:
    return repr([b.given_order for b in buffers] if any(b.order for b in buffers) else [])


def _dtype(b: Buffer) -> str:
    """That of the caller's tensor."""
    if b.pairs:
        return "torch.complex64" if b.dtype is DType.F32 else "torch.complex128"
    return str(TORCH_DTYPE[b.dtype])


def of_type(like: tuple[Any, ...], items: Sequence[Any]) -> tuple[Any, ...]:
    """`items` as a tuple with the names that `like` has."""
    kind: Any = type(like)
    if hasattr(like, "_fields"):
        return kind(*items)  # type: ignore[no-any-return]
    return kind(items) if kind.__module__ == "torch.return_types" else tuple(items)


def _structure(returns: object) -> str:
    """Python for what forward() returns; named tuples as such, torch's own and the user's."""
    if isinstance(returns, dict):
        return "{" + ", ".join(f"{k!r}: {_structure(v)}" for k, v in returns.items()) + "}"
    if isinstance(returns, list):
        return "[" + ", ".join(map(_structure, returns)) + "]"
    if not isinstance(returns, tuple):
        return repr(returns)
    items, kind = ", ".join(map(_structure, returns)), type(returns)
    if hasattr(returns, "_fields"):
        return f"collections.namedtuple({kind.__name__!r}, {returns._fields!r})({items})"
    return (
        f"torch.return_types.{kind.__name__}(({items},))"
        if kind is not tuple
        else f"({items}{',' * bool(returns)})"
    )


def _written_by_kernel(program: Any, name: str, made: set[str], position: int) -> bool:
    """A returned buffer goes straight to the caller's memory, once; a second copy, a returned input and what a library made are
    copied at the end."""
    return name in made and name not in program.updates and program.outputs.index(name) == position


def _handed(assembly: Assembly) -> list[int]:
    """Positions of results that a library made for this call and that nothing else returns or keeps."""
    program = assembly.program
    fresh = {
        b.name for p in assembly.pieces if p.library and not _may_alias(p.library) for b in p.library.outs
    }
    once = [i for i, n in enumerate(program.outputs) if program.outputs.index(n) == i]
    return [i for i in once if program.outputs[i] in fresh - set(program.updates)]


def _may_alias(call: Library) -> bool:
    """Can what it returns be what it was given?"""
    return any(r.alias_info is not None for r in _overload(call)._schema.returns)


def _listed(items: Any) -> str:
    rows = list(items)
    return "[]" if not rows else "[\n    " + ",\n    ".join(rows) + ",\n]"


def _start(assembly: Assembly, key: str, value: torch.Tensor) -> str:
    """Zeros (told by no data) for what is never read before it is written."""
    read = any(b.source == key and b.role is Role.PARAM for b in assembly.table)
    return _encoded(value.dtype, value) if read else _coded(tuple(value.shape), value.dtype, b"")


def _encoded(dtype: torch.dtype, value: torch.Tensor) -> str:
    data = value.detach().contiguous().view(torch.uint8 if value.dim() else value.dtype)
    raw = data.reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""
    return _coded(tuple(value.shape), dtype, raw)


def _coded(shape: tuple[int, ...], dtype: torch.dtype, raw: bytes) -> str:
    return f"({shape!r}, {dtype}, {base64.b85encode(zlib.compress(raw, 9)).decode()!r})"


# ---------------------------------------------------------------- the steps of one call


def _steps(assembly: Assembly) -> str:
    """Statements of `_execute`: C segments, library calls between them, what is written back and what is copied out."""
    program, slot = assembly.program, {b.name: i for i, b in enumerate(assembly.table)}
    names = _Names(assembly, slot)
    lines: list[str] = []
    for segment in assembly.segments:
        lines += (
            [f"_LIB.{segment.symbol}(table, packed, scratch, threads)"]
            if not segment.library
            else names.library(segment)
        )
    for name, key in program.updates.items():
        state = f"self._state({key!r})"
        lines.append(
            f"{f'_pairs({state})' if program.buffers[name].pairs else state}.copy_({names.tensor(name)})"
        )
    if program.updates and not _packs(assembly, set(program.updates.values())):
        lines.append(f"self._written_back({tuple(program.updates.values())!r})")
    made = {b.name for p in assembly.pieces if p.group for b in p.group.outputs}
    handed = _handed(assembly)
    for i, name in enumerate(program.outputs):
        if i in handed:
            lines.append(f"out[{i}] = _handed(out[{i}], {names.as_given(name)})")
        elif not _written_by_kernel(program, name, made, i):
            lines.append(f"{names.caller(i)}.copy_({names.tensor(name)})")
    return "\n".join("        " + line for line in lines or ["pass"])


def _packs(assembly: Assembly, keys: set[str]) -> bool:
    """Is any of this state kept in a packed form, which a change makes stale?"""
    read = {name for p in assembly.packed for name in (p.reads or (p.source,))}
    return any(b.source in keys for b in assembly.table if b.name in read)


def _lying(tensor: str, buffer: Buffer) -> str:
    """Python for a tensor with its dimensions as they lie in memory."""
    return f"_ordered({tensor}, {buffer.order!r})" if buffer.order else tensor


class _Names:
    """How the generated Python reaches each buffer as a tensor."""

    def __init__(self, assembly: Assembly, slot: Mapping[str, int]) -> None:
        self.assembly, self.slot, self.locals = assembly, slot, set[str]()

    def tensor(self, name: str) -> str:
        """With its dimensions as they lie in memory."""
        return self.memory(name) if name in self.locals else _lying(self.memory(name), self._buffer(name))

    def as_given(self, name: str) -> str:
        """What a library made, as the caller's tensor is."""
        buffer, seen = self._buffer(name), f"t_{name}"
        if buffer.order:
            seen += f".permute({inverse(buffer.order)})"
        return f"torch.view_as_complex({seen})" if buffer.pairs else seen

    def caller(self, i: int) -> str:
        """The caller's memory for a result, with its dimensions as they lie."""
        buffer = self._buffer(self.assembly.program.outputs[i])
        return _lying(f"_pairs(out[{i}])" if buffer.pairs else f"out[{i}]", buffer)

    def _buffer(self, name: str) -> Buffer:
        return self.assembly.program.buffers[name]

    def memory(self, name: str) -> str:
        """With its elements where they lie, whatever its dimensions are."""
        program, buffer = self.assembly.program, self._buffer(name)
        if name in self.locals:
            return f"t_{name}"
        if name in self.assembly.offsets:
            return f"self._temps[{self.slot[name]}]"
        if name in program.inputs:
            held = f"tensors[{program.inputs.index(name)}]"
        elif buffer.role is Role.PARAM:
            held = f"(self._constants if {self.slot[name]} in self._constants else self._weights)[{self.slot[name]}]"
        else:
            held = f"out[{program.outputs.index(name)}]"
        return f"_pairs({held})" if buffer.pairs else held

    def library(self, segment: Segment) -> list[str]:
        call = segment.library
        assert call is not None
        path = "torch.ops." + call.target
        args = [self._value(a) for a in call.args] + [f"{k}={self._value(v)}" for k, v in call.kwargs]
        self.locals |= {b.name for b in call.outs}
        left = ", ".join(f"t_{b.name}" for b in call.outs)
        unpack = "," if _returns_sequence(call) and len(call.outs) == 1 else ""
        lines = [f"{left}{unpack} = {path}({', '.join(args)})"]
        lines += [f"t_{b.name} = torch.view_as_real(t_{b.name})" for b in call.outs if b.pairs]
        for b in call.outs:
            if b.name in self.slot:
                lines += [
                    f"t_{b.name} = _usable({_lying(f't_{b.name}', b)})",
                    f"table[{self.slot[b.name]}] = t_{b.name}.data_ptr()",
                ]
        return lines

    def _value(self, value: object) -> str:
        if isinstance(value, Ref):
            seen = self.tensor(value.buffer)
            if value.view is not None:
                seen = f"_seen({self.memory(value.buffer)}, {', '.join(map(repr, value.view))})"
            return f"torch.view_as_complex({seen})" if value.pairs else seen
        if isinstance(value, tuple | list):
            return "[" + ", ".join(self._value(v) for v in value) + "]"
        if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
            return f'float("{value}")'
        if isinstance(value, torch.device):
            return f"torch.{value!r}"
        return (
            str(value) if isinstance(value, torch.dtype | torch.layout | torch.memory_format) else repr(value)
        )


def _overload(call: Library) -> Any:
    target: Any = torch.ops
    for part in call.target.split("."):
        target = getattr(target, part)
    return target


def _returns_sequence(call: Library) -> bool:
    """Does the ATen overload return several tensors (a tuple or a list)?"""
    returns = _overload(call)._schema.returns
    return len(returns) > 1 or any("[]" in str(r.type) or "List" in str(r.type) for r in returns)


def add_custom_op(path: Path, name: str) -> None:
    """Append the registration of the torch.library operator `name` ("namespace::name") to a drop-in. KerfError for another file."""
    if "::" not in name:
        raise KerfError(f"a custom operator is named namespace::name, got {name!r}")
    text = path.read_text()
    if "OUTPUT_SLOTS" not in text:
        raise KerfError(f"{path} has no generated kernel to register: the library as it is won")
    path.write_text(text + _custom_op(name))


def _custom_op(name: str) -> str:
    return f'''

def register(model: ModelNew, name: str = {name!r}) -> torch.library.CustomOpDef:
    """Register `model`'s call as a torch.library custom operator taking and returning lists of tensors."""

    @torch.library.custom_op(name, mutates_args=())
    def operator(inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        result = model(*inputs)
        return list(result) if isinstance(result, tuple) else [result]

    @operator.register_fake
    def _(inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        return list(_outputs())

    return operator
'''
