"""Does a candidate do itself what its manifest says it does? Calling a library is no cheat; calling it while claiming otherwise is.

A manifest claims that all of its work is generated when its `provenance` names pieces and every one is `generated`. Then its compiled
code is replaced by functions that return at once (a mutation test: DeMillo, Lipton and Sayward, Hints on Test Data Selection, 1978):
if the answers stay right, something else computes them. And one call is traced for operators of torch that compute."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kerf.kernels.dispatch import OperatorMode

_MOVES = ("empty", "copy", "clone", "contiguous", "_to_copy", "detach", "zeros", "ones", "full", "fill", "zero", "lift_fresh", "as_strided",
          "resize", "set", "alias", "_local_scalar_dense", "_unsafe_view", "view", "new_empty", "new_zeros", "is_same_size", "equal")  # fmt: skip
_NAME = re.compile(r"[A-Za-z]\w*")
_SECTION_DYNSYM, _FUNCTION = 11, 2


def claims_all_generated(manifest: Mapping[str, Any]) -> bool:
    """Its provenance names pieces, and a library none of them."""
    pieces = manifest.get("provenance")
    return bool(
        isinstance(pieces, list)
        and pieces
        and all(isinstance(p, Mapping) and p.get("by") == "generated" for p in pieces)
    )


class Trace(OperatorMode):
    """`computing`: the operators called that do more than allocate, copy or look at memory in another way."""

    def __init__(self) -> None:
        super().__init__()
        self.computing: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        base = func.overloadpacket.__name__.rstrip("_")
        if not func.is_view and not base.removesuffix("_like").startswith(_MOVES):
            self.computing.add(str(func.overloadpacket))
        return func(*args, **(kwargs or {}))


def empty_functions(library: Path) -> str:
    """C source that defines every function which `library` (a 64-bit ELF file) exports, each returning 0 at once."""
    return "\n".join(f"long {name}(void) {{ return 0; }}" for name in sorted(set(_exported(library)))) + "\n"


def _exported(library: Path) -> Iterable[str]:
    data = library.read_bytes()
    (start,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, start + i * size) for i in range(count)]
    for section in sections:
        if section[1] == _SECTION_DYNSYM:
            names = sections[section[6]][4]
            for at in range(section[4], section[4] + section[5], 24):
                name, info, _, home = struct.unpack_from("<IBBH", data, at)
                text = data[names + name : data.index(b"\0", names + name)].decode(errors="replace")
                if home and info & 15 == _FUNCTION and _NAME.fullmatch(text):
                    yield text


def described(operators: Iterable[str]) -> str:
    """What a rejection says about the traced operators (names come from the worker: bounded)."""
    return ", ".join(str(o)[:60] for o in list(operators)[:5])
