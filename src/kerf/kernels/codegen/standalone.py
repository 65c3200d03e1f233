"""One generated kernel on its own: compiled, loaded, called. For tests, and for timing a kernel outside a program."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from kerf.kernels.codegen.expr import CTYPE
from kerf.kernels.codegen.mathlib import prelude
from kerf.kernels.codegen.template import Emitted, Template, template_for
from kerf.kernels.ir import DType, Group
from kerf.kernels.schedule import Value, resolved
from kerf.kernels.targets.cpu import Chip, native
from kerf.toolchain.compilers import compile_library, native_flags

TORCH_DTYPE: dict[DType, torch.dtype] = {
    DType.F64: torch.float64, DType.F32: torch.float32, DType.F16: torch.float16, DType.BF16: torch.bfloat16,
    DType.I64: torch.int64, DType.I32: torch.int32, DType.I16: torch.int16, DType.I8: torch.int8, DType.U8: torch.uint8,
    DType.BOOL: torch.bool,
}  # fmt: skip


@dataclass(frozen=True)
class Standalone:
    """`call(inputs)` -> outputs, as contiguous torch tensors in the order of the group's buffers; `bind(inputs, outputs)` gives a
    function of no arguments that runs the kernel once, for timing (packing done)."""

    group: Group
    emitted: Emitted
    source: str
    bind: Callable[[list[torch.Tensor], list[torch.Tensor]], Callable[[], None]]

    def call(self, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        outputs = [torch.full(b.shape, 77, dtype=TORCH_DTYPE[b.dtype]) for b in self.group.outputs]
        self.bind(inputs, outputs)()
        return outputs


def standalone(group: Group, choices: Mapping[str, Value] | None = None, *, threads: int = 1, chip: Chip | None = None,
               template: Template | None = None) -> Standalone:  # fmt: skip
    """Generate, compile and load `group` under `choices` (defaults elsewhere). Raises RuntimeError with the compiler's words."""
    chip = chip or native()
    template = template or template_for(group)
    if template is None:
        raise RuntimeError(f"no template accepts group {group.name}")
    full = resolved(template.decisions(group, chip, threads), choices or {})
    emitted = template.emit(group, full, chip, threads, "kernel")
    source = _source(group, emitted)
    build = compile_library(source, native_flags(chip.machine, chip.vector_bits))
    if build.library is None:
        raise RuntimeError(f"{build.log}\n{source}")
    library = ctypes.CDLL(str(build.library))

    def bind(inputs: list[torch.Tensor], outputs: list[torch.Tensor]) -> Callable[[], None]:
        held = _packed(library, group, emitted, inputs)
        scratch = _aligned(emitted.scratch_bytes + 64)
        pointers = [held.get(b.name, t) for b, t in zip(group.inputs, inputs, strict=True)]
        array = (ctypes.c_void_p * (len(pointers) + len(outputs)))(
            *(t.data_ptr() for t in [*pointers, *outputs])
        )
        place, run = ctypes.c_void_p(scratch.data_ptr()), library.entry
        keep = (held, scratch, pointers, outputs)
        return lambda: (run(array, place, ctypes.c_int(threads)), keep)[1] and None

    return Standalone(group, emitted, source, bind)


def _source(group: Group, emitted: Emitted) -> str:
    packed = {p.source: p.ctype for p in emitted.packed}
    args = [f"(const {packed.get(b.name, CTYPE[b.dtype])} *)b[{i}]" for i, b in enumerate(group.inputs)]
    args += [f"({CTYPE[b.dtype]} *)b[{i + len(args)}]" for i, b in enumerate(group.outputs)]
    packs = "\n".join(
        f"void pack_{i}(const void *const *s, void *p) {{ {p.symbol}(s, p); }}"
        for i, p in enumerate(emitted.packed)
    )
    entry = f"void entry(void **b, char *scratch, int threads) {{ {emitted.symbol}({', '.join(args)}, scratch, threads); }}"
    body = f"{emitted.code}\n{packs}\n{entry}\n"
    return prelude(body) + body


def _packed(
    library: ctypes.CDLL, group: Group, emitted: Emitted, inputs: list[torch.Tensor]
) -> dict[str, torch.Tensor]:
    held: dict[str, torch.Tensor] = {}
    names = [b.name for b in group.inputs]
    for i, p in enumerate(emitted.packed):
        held[p.source] = _aligned(p.bytes)
        reads = [inputs[names.index(n)].data_ptr() for n in (p.reads or (p.source,))]
        getattr(library, f"pack_{i}")(
            (ctypes.c_void_p * len(reads))(*reads), ctypes.c_void_p(held[p.source].data_ptr())
        )
    return held


def _aligned(size: int) -> torch.Tensor:
    """`size` bytes at a 64-byte boundary."""
    raw = torch.zeros(size + 64, dtype=torch.uint8)
    shift = -raw.data_ptr() % 64
    return raw[shift : shift + size]
