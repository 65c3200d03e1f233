"""A design as its source says it: read, checked and elaborated by slang (pyslang). What is wrong is told with file, line and caret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerf.core.types import KerfError

# slang reads these as errors that simulators let pass; synthesis handles them
TOLERATED = ("UnknownSystemName",)


@dataclass(frozen=True)
class Source:
    """A file of the design: `name` as the user gave it, and its text."""

    name: str
    text: str
    path: Path | None = None

    @property
    def folder(self) -> Path | None:
        return self.path.resolve().parent if self.path else None


@dataclass(frozen=True)
class Port:
    """`direction`: input, output or inout; `width` in bits."""

    name: str
    direction: str
    width: int
    signed: bool = False


@dataclass(frozen=True)
class Design:
    """`top` is the module under verification; `ports` are its ports in order. `compilation` is slang's, `root` the instance of `top` in it."""

    sources: tuple[Source, ...]
    top: str
    ports: tuple[Port, ...]
    warnings: tuple[str, ...] = ()
    defines: Mapping[str, str] = field(default_factory=dict)
    includes: tuple[Path, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    compilation: Any = field(default=None, repr=False, compare=False)
    root: Any = field(default=None, repr=False, compare=False)

    @property
    def folders(self) -> tuple[Path, ...]:
        """What synthesis may read: the sources' folders and those given for includes."""
        found = [s.folder for s in self.sources if s.folder] + [p.resolve() for p in self.includes]
        return tuple(dict.fromkeys(found))

    def with_texts(self, texts: Mapping[str, str]) -> Design:
        """The same design with other texts for some of its sources (by name), read again."""
        changed = [Source(s.name, texts.get(s.name, s.text), s.path) for s in self.sources]
        return read(
            changed, top=self.top, defines=self.defines, includes=self.includes, parameters=self.parameters
        )


def load(paths: Sequence[str | Path], **how: Any) -> Design:
    """Read files; options as for `read`."""
    return read([_source(Path(p)) for p in paths], **how)


def _source(path: Path) -> Source:
    try:
        return Source(str(path), path.read_bytes().decode("utf-8", "surrogateescape"), path)
    except OSError as error:
        raise KerfError(f"cannot read {path}: {error.strerror}") from error


def read(sources: Sequence[Source], *, top: str = "", defines: Mapping[str, str] | None = None, includes: Sequence[Path] = (),
         parameters: Mapping[str, str] | None = None) -> Design:  # fmt: skip
    """Parse and elaborate. Without `top`, the one module that no other instantiates. KerfError with slang's diagnostics, with line and caret,
    when the source is broken; and for an include from outside the folders of `sources` and `includes`."""
    import pyslang
    from pyslang.ast import Compilation

    manager = pyslang.SourceManager()
    for folder in includes:
        manager.addUserDirectories(str(folder))
    bag = _options(top, defines or {}, parameters or {})
    compilation = Compilation(bag)
    trees = []
    for source in sources:
        try:
            tree = pyslang.syntax.SyntaxTree.fromText(
                source.text, manager, source.name, str(source.path or source.name), bag
            )
        except RuntimeError as error:
            raise KerfError(
                f"{source.name} is given twice, or another file includes it: leave it out"
            ) from error
        trees.append(tree)
        compilation.addSyntaxTree(tree)
    _check_includes(trees, sources, includes)
    warnings = _diagnose(compilation, manager)
    root = _root(compilation, top)
    return Design(
        tuple(sources), root.name, tuple(_ports(root)), warnings, dict(defines or {}), tuple(includes), dict(parameters or {}), compilation, root
    )  # fmt: skip


def _options(top: str, defines: Mapping[str, str], parameters: Mapping[str, str]) -> Any:
    import pyslang
    from pyslang.ast import CompilationOptions
    from pyslang.parsing import PreprocessorOptions

    preprocessor, compilation = PreprocessorOptions(), CompilationOptions()
    preprocessor.predefines = [f"{k}={v}" if v != "" else k for k, v in defines.items()]
    if top:
        compilation.topModules = {top}
    compilation.defaultTimeScale = pyslang.TimeScale.fromString("1ns/1ps")
    compilation.paramOverrides = [f"{k}={v}" for k, v in parameters.items()]
    bag = pyslang.Bag()
    bag.preprocessorOptions = preprocessor
    bag.compilationOptions = compilation
    return bag


def _check_includes(trees: Sequence[Any], sources: Sequence[Source], includes: Sequence[Path]) -> None:
    """No file from elsewhere: its text would be quoted in messages and reports."""
    allowed = [s.folder for s in sources if s.folder] + [p.resolve() for p in includes]
    for tree in trees:
        for directive in tree.getIncludeDirectives():
            if directive.path and not directive.isSystem:
                _check_include(str(directive.path), allowed)


def _check_include(path: str, allowed: Sequence[Path]) -> None:
    tried = [Path(path)] if Path(path).is_absolute() else [f / path for f in allowed]
    for found in (t.resolve() for t in tried if t.exists()):
        if not any(found.is_relative_to(f) for f in allowed):
            raise KerfError(
                f"`include of {path}: it lies outside the design's folders; name its folder with --include"
            )


def _diagnose(compilation: Any, manager: Any) -> tuple[str, ...]:
    """KerfError for errors; the warnings as text."""
    from pyslang import DiagnosticEngine

    errors: list[str] = []
    warnings: list[str] = []
    for diagnostic in compilation.getAllDiagnostics():
        told = DiagnosticEngine.reportAll(manager, [diagnostic]).strip()
        name = re.sub(r"DiagCode\((\w+)\)", r"\1", str(diagnostic.code))
        (errors if diagnostic.isError() and name not in TOLERATED else warnings).append(told)
    if errors:
        more = f"\n... and {len(errors) - 5} more" if len(errors) > 5 else ""
        raise KerfError("the design does not compile:\n" + "\n".join(errors[:5]) + more)
    return tuple(w for w in warnings if w)


def _root(compilation: Any, top: str) -> Any:
    instances = list(compilation.getRoot().topInstances)
    named = [i for i in instances if not top or i.name == top]
    if not named:
        known = ", ".join(i.name for i in instances) or "none"
        raise KerfError(f"no module {top or 'at all'} to verify (top modules: {known})")
    if len(named) > 1:
        raise KerfError(
            f"several top modules: {', '.join(i.name for i in named)}; choose one with --top MODULE"
        )
    return named[0]


def _ports(instance: Any) -> list[Port]:
    found = []
    for port in instance.body.portList:
        kind = getattr(port, "type", None)
        if kind is None or not kind.isIntegral:
            raise KerfError(
                f"port {port.name} of {instance.name} is no word of bits (interfaces and reals are not supported): wrap the module"
            )
        direction = {"In": "input", "Out": "output", "InOut": "inout"}[str(port.direction).rpartition(".")[2]]
        found.append(Port(port.name, direction, int(kind.bitWidth), bool(kind.isSigned)))
    return found
