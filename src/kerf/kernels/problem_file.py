"""A file in KernelBench's layout: its sizes found, overridden and executed.

The layout (https://github.com/ScalingIntelligence/KernelBench, MIT): a Python file with `class Model(nn.Module)`, `get_inputs()`,
`get_init_inputs()` and, at module level, the sizes that these use. An override takes effect where the name is bound, so that
everything computed from it further down follows.
"""

from __future__ import annotations

import ast
import linecache
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from kerf.core.types import KerfError, content_hash

REQUIRED = ("Model", "get_inputs")
_ELEMENT = re.compile(r"^(\w+)\[(\d+)\]$")


@dataclass(frozen=True)
class ProblemFile:
    """The text of a problem and where it came from. `path` None: it came as text."""

    text: str
    path: Path | None = None

    @property
    def name(self) -> str:
        return self.path.stem if self.path else "problem"

    @property
    def where(self) -> str:
        return str(self.path) if self.path else "<problem>"

    def tree(self) -> ast.Module:
        """The syntax tree; a KerfError that names the line when the text is not Python."""
        try:
            return ast.parse(self.text, filename=self.where)
        except (SyntaxError, ValueError) as error:
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
            raise KerfError(
                f"{self.where}{line}: not valid Python ({error}). Mend the file and try again."
            ) from error

    def read_by_classes(self) -> frozenset[str]:
        """Module-level names that a class refers to rather than takes as arguments, and what those are computed from."""
        body = self.tree().body
        made = {
            target: _names(node.value)
            for node in body
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
            for target in _stored(node)
        }
        wanted = [n for c in body if isinstance(c, ast.ClassDef) for n in _names(c) - _arguments(c)]
        found: set[str] = set()
        while wanted:
            name = wanted.pop()
            if name in made and name not in found:
                found.add(name)
                wanted += made[name]
        return frozenset(found)


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _stored(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _arguments(node: ast.AST) -> set[str]:
    return {a.arg for a in ast.walk(node) if isinstance(a, ast.arg)}


def read_file(path: str | Path) -> ProblemFile:
    """Read a problem file; KerfError when it is missing or not text."""
    file = Path(path)
    if not file.is_file():
        what = "is a folder; name one file in it" if file.is_dir() else "does not exist"
        raise KerfError(
            f"the problem file {file} {what}. A problem is a Python file with Model, get_inputs and get_init_inputs."
        )
    try:
        return ProblemFile(file.read_text(encoding="utf-8"), file)
    except (OSError, UnicodeDecodeError) as error:
        raise KerfError(f"cannot read the problem file {file}: {error}") from error


def execute(file: ProblemFile, overrides: Mapping[str, Any]) -> ModuleType:
    """Run the file with `overrides` in force and return its namespace. Raises KerfError for unknown names, a file that raises,
    or one that lacks Model or get_inputs."""
    tree = file.tree()
    _check_names(file, tree, overrides)
    tree.body = list(_with_overrides(tree.body, overrides))
    ast.fix_missing_locations(tree)
    module = ModuleType(f"kerf_problem_{content_hash([file.text, sorted(overrides.items())])}")
    module.__file__ = file.where
    sys.modules[module.__name__] = module  # dataclasses, pickle and dynamo look a class's module up by name
    linecache.cache[file.where] = (len(file.text), None, file.text.splitlines(keepends=True), file.where)
    try:
        exec(compile(tree, file.where, "exec"), module.__dict__)
    except ModuleNotFoundError as error:
        raise KerfError(
            f"{file.where} imports {error.name!r}, which is not installed here. Install it: pip install {error.name}"
        ) from error
    except Exception as error:
        raise KerfError(
            f"{file.where}: executing the file raised {type(error).__name__}: {error}{_line(error, file)}"
        ) from error
    missing = [n for n in REQUIRED if not callable(getattr(module, n, None))]
    if missing:
        raise KerfError(
            f"{file.where} does not define {' and '.join(missing)}. A problem needs class Model, get_inputs() and get_init_inputs()."
        )
    return module


def _line(error: BaseException, file: ProblemFile) -> str:
    """' (line 12)': the deepest line of the file itself in the traceback."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file.where:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})" if line else ""


def line_of(error: BaseException, file: ProblemFile) -> str:
    return _line(error, file)


# ---------------------------------------------------------------- names and sizes


def bound_names(tree: ast.Module) -> list[str]:
    """Names bound by assignments at module level, in order."""
    return list(dict.fromkeys(n for s in _assignments(tree.body) for n in _targets(s)))


def sizes(file: ProblemFile, namespace: ModuleType) -> dict[str, int]:
    """The independent integer sizes: module-level names (and elements of tuples and lists, as `name[i]`) bound to
    expressions that use no other name, with their values now."""
    found: dict[str, int] = {}
    for statement in _assignments(file.tree().body):
        value = statement.value
        if value is None or any(isinstance(n, ast.Name | ast.Call) for n in ast.walk(value)):
            continue
        for name in _targets(statement):
            found.update(_integers(name, getattr(namespace, name, None)))
    return found


def _integers(name: str, value: Any) -> dict[str, int]:
    if isinstance(value, int) and not isinstance(value, bool):
        return {name: value}
    if (
        isinstance(value, tuple | list)
        and value
        and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
    ):
        return {f"{name}[{i}]": v for i, v in enumerate(value)}
    return {}


def parse_value(value: str | int | float) -> Any:
    """A command line's text as a Python literal where it is one."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


def _check_names(file: ProblemFile, tree: ast.Module, overrides: Mapping[str, Any]) -> None:
    known = bound_names(tree)
    unknown = [n for n in overrides if (_ELEMENT.match(n) or [n, n])[1] not in known]
    if unknown:
        have = ", ".join(known) if known else "none"
        raise KerfError(
            f"{file.where} has no size named {', '.join(unknown)} at module level. The names that exist: {have}."
        )


# ---------------------------------------------------------------- rewriting


def _assignments(body: list[ast.stmt]) -> Iterator[ast.Assign | ast.AnnAssign | ast.AugAssign]:
    for statement in body:
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
            yield statement
        for inner in _blocks(statement):
            yield from _assignments(inner)


def _blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    """The nested bodies that run at module level (if, try, with, for), not those of functions and classes."""
    if not isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
        return []
    handlers = [h.body for h in getattr(statement, "handlers", [])]
    return [b for b in (getattr(statement, f, None) for f in ("body", "orelse", "finalbody")) if b] + handlers


def _targets(statement: ast.Assign | ast.AnnAssign | ast.AugAssign) -> list[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    flat = [e for t in targets for e in (t.elts if isinstance(t, ast.Tuple | ast.List) else [t])]
    return [t.id for t in flat if isinstance(t, ast.Name)]


def _with_overrides(body: list[ast.stmt], overrides: Mapping[str, Any]) -> Iterator[ast.stmt]:
    """The statements, each binding of an overridden name followed by its new value."""
    for statement in body:
        for inner in _blocks(statement):
            inner[:] = _with_overrides(inner, overrides)
        yield statement
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
            for name in _targets(statement):
                yield from (_located(s, statement) for s in _rebinding(name, overrides))


def text_with(file: ProblemFile, overrides: Mapping[str, Any]) -> str:
    """The file's text with the overrides written into it, a line below each binding: what was there stays readable."""
    lines = file.text.splitlines()
    for statement in sorted(_assignments(file.tree().body), key=lambda s: -(s.end_lineno or 0)):
        new = [s for name in _targets(statement) for s in _rebinding(name, overrides)]
        indent = " " * statement.col_offset
        at = statement.end_lineno or 0
        lines[at:at] = [f"{indent}{ast.unparse(s)}  # overridden" for s in new]
    return "\n".join(lines) + "\n"


def _rebinding(name: str, overrides: Mapping[str, Any]) -> Iterator[ast.stmt]:
    for key, value in overrides.items():
        element = _ELEMENT.match(key)
        if key == name:
            yield from ast.parse(f"{name} = {parse_value(value)!r}").body
        elif element and element[1] == name:
            i = int(element[2])
            yield from ast.parse(
                f"{name} = type({name})([*{name}[:{i}], {parse_value(value)!r}, *{name}[{i + 1}:]])"
            ).body


def _located(new: ast.stmt, at: ast.stmt) -> ast.stmt:
    for node in ast.walk(new):
        if "lineno" in node._attributes:
            ast.copy_location(node, at)
    return new
