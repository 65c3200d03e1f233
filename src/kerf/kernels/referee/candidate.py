"""A candidate as the referee sees it: sources and a manifest, read and never executed here."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from kerf.kernels.targets.cpu import native
from kerf.toolchain.compilers import native_flags

MAX_FILES, MAX_BYTES = 64, 8 << 20
_ALLOWED = re.compile(
    r"-O(|[0-3]|s|fast)|-g0?|-std=[a-z0-9+]+|-m[a-z0-9][a-zA-Z0-9.+=,_-]*|-D[A-Za-z_]\w*(=[\w.+-]*)?|-U[A-Za-z_]\w*|-W[a-z][a-z0-9=-]*|-w"
    r"|-fopenmp(-simd)?|-ffast-math|-fno-[a-z-]+|-ffp-contract=(fast|off|on)|-funroll(-all)?-loops|-ftree-[a-z-]+|-fvect-cost-model=[a-z-]+"
    r"|-fassociative-math|-freciprocal-math|-ffinite-math-only|-fomit-frame-pointer|-fstrict-aliasing|-finline-[a-z]+(=\d+)?|-fprefetch-loop-arrays"
    r"|-fPIC|-fpic|-lm|-lmvec|-pthread|--param=[a-z0-9-]+=\d+|-fgraphite-identity|-floop-[a-z-]+|-fvisibility=hidden|-fwrapv|-fvect[a-z-]*"
)
_FORBIDDEN = re.compile(r"-Wl|-Wa|-Wp|-wrapper|-fno-builtin-plugin|-mwrapper")


class Malformed(Exception):
    """The candidate breaks the format: rejected, with this message."""


@dataclass(frozen=True)
class Unit:
    """One C source, its flags and where its shared object goes (paths inside the candidate's folder)."""

    text: str
    output: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Package:
    files: Mapping[str, str]
    entry: str
    native: bool
    any_shape: bool
    threads: int | None
    units: tuple[Unit, ...]
    manifest: Mapping[str, Any] = field(default_factory=dict)
    orders: tuple[tuple[int, ...], ...] = ()


def package(files: Mapping[str, str]) -> Package:
    """Read a candidate's files. Malformed when it is not one."""
    _check_files(files)
    if "manifest.json" not in files:
        return _plain(files)
    try:
        manifest = json.loads(files["manifest.json"])
    except ValueError as error:
        raise Malformed(f"manifest.json is not JSON: {error}") from error
    return _with_manifest(files, manifest)


def _check_files(files: Mapping[str, str]) -> None:
    if len(files) > MAX_FILES or sum(len(t) for t in files.values()) > MAX_BYTES:
        raise Malformed(f"more than {MAX_FILES} files or {MAX_BYTES >> 20} MiB of source")
    for name in files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name or not path.parts:
            raise Malformed(f"{name!r} is not a path inside the candidate's folder")
        if path.suffix not in (".py", ".c", ".h", ".json", ".md", ".txt"):
            raise Malformed(f"{name!r}: a candidate is sources (.py, .c, .h) and manifest.json")


def _with_manifest(files: Mapping[str, str], manifest: Any) -> Package:
    if not isinstance(manifest, dict) or manifest.get("format") != 1:
        raise Malformed('manifest.json needs "format": 1')
    entry, interface = manifest.get("entry", "kernel.py"), manifest.get("interface", "module")
    if (
        entry not in files
        or interface not in ("native", "module")
        or manifest.get("shapes", "any") not in ("exact", "any")
    ):
        raise Malformed(
            'manifest.json: "entry" names a file, "interface" is native or module, "shapes" exact or any'
        )
    sources = manifest.get("sources", {})
    if not isinstance(sources, dict):
        raise Malformed('manifest.json: "sources" maps each C file to its output and flags')
    units = tuple(_unit(files, name, how) for name, how in sources.items())
    threads = manifest.get("threads")
    return Package(
        files,
        entry,
        interface == "native",
        manifest.get("shapes", "any") == "any",
        threads if isinstance(threads, int) else None,
        units,
        manifest,
        _orders(manifest.get("orders", [])),
    )


def _orders(found: Any) -> tuple[tuple[int, ...], ...]:
    """How the outputs of a native candidate lie in memory: the dimensions of each, the outermost first; none: as they are."""
    if not isinstance(found, list) or not all(
        isinstance(o, list) and all(type(d) is int for d in o) and sorted(o) == list(range(len(o)))
        for o in found
    ):
        raise Malformed(
            'manifest.json: "orders" holds, for each output, its dimensions from the outermost in memory to the innermost'
        )
    return tuple(tuple(o) for o in found)


def _unit(files: Mapping[str, str], name: str, how: Any) -> Unit:
    if name not in files or not isinstance(how, dict):
        raise Malformed(f"manifest.json: no source {name!r}")
    output = how.get("output", str(PurePosixPath(name).with_suffix(".so")))
    path = PurePosixPath(str(output))
    if path.is_absolute() or ".." in path.parts or path.suffix != ".so":
        raise Malformed(f"manifest.json: output {output!r} must be a .so inside the folder")
    return Unit(files[name], str(path), checked_flags(how.get("flags", [])))


def checked_flags(flags: Any) -> tuple[str, ...]:
    """The flags, if every one is on the list: optimization, the machine, macros, warnings. Nothing that reads files, loads plug-ins
    or passes options to other tools."""
    if not isinstance(flags, list | tuple) or not all(isinstance(f, str) for f in flags):
        raise Malformed("compiler flags must be a list of strings")
    for flag in flags:
        if not _ALLOWED.fullmatch(flag) or _FORBIDDEN.match(flag):
            raise Malformed(f"the compiler flag {flag!r} is not on the list of allowed ones")
    return tuple(flags)


def _plain(files: Mapping[str, str]) -> Package:
    entry = _find_entry(files)
    chip = native()
    usual = tuple(native_flags(chip.machine, chip.vector_bits))
    units = [
        Unit(text, str(PurePosixPath(name).with_suffix(".so")), usual)
        for name, text in files.items()
        if name.endswith(".c")
    ]
    constants = _constants(files[entry])
    if isinstance(constants.get("C_SOURCE"), str):
        flags = constants.get("C_FLAGS")
        units.append(Unit(constants["C_SOURCE"], "kernel.so", checked_flags(flags) if flags else usual))
    return Package(files, entry, False, True, None, tuple(units))


def _find_entry(files: Mapping[str, str]) -> str:
    python = [name for name in files if name.endswith(".py")]
    defining = [n for n in python if re.search(r"\bModelNew\b", files[n])]
    if not python:
        raise Malformed("no Python file that defines ModelNew")
    return "kernel.py" if "kernel.py" in defining else (defining or python)[0]


def _constants(text: str) -> dict[str, Any]:
    """C_SOURCE and C_FLAGS where they are literals at module level; found in the syntax tree, nothing is run."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("C_SOURCE", "C_FLAGS"):
                found[name] = _literal(node.value)
    return found


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
