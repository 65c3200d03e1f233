"""What an agent may read without calling a tool: problems, runs, the chip, the cheats that are known, and how to work."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kerf.core.types import KerfError

RECENT = 20
SOURCES = (".py", ".sv", ".v", ".aux")


@dataclass(frozen=True)
class Resource:
    """`read` gives its text; it raises KerfError where there is none."""

    uri: str
    name: str
    about: str
    kind: str
    read: Callable[[], str]


def listed() -> list[Resource]:
    """Those that stand fast, the examples that each domain ships, and the newest runs."""
    return [*_standing(), *_problems(), *_recent()]


def read(uri: str) -> Resource:
    """The resource at `uri`; KerfError names what there is instead."""
    if match := re.fullmatch(r"kerf://runs/([0-9A-Za-z_-]+)", uri):
        return _run(match[1], "A run.")
    found = {r.uri: r for r in (*_standing(), *_problems())}
    if uri not in found:
        raise KerfError(f"no resource {uri!r}; there are {', '.join(found)} and kerf://runs/RUN")
    return found[uri]


def guide() -> str:
    """How to work with kerf: the skill's text."""
    return (Path(__file__).parent / "skill.md").read_text()


def _standing() -> Iterator[Resource]:
    yield Resource(
        "kerf://guide",
        "guide",
        "How to work with these tools, and which numbers to believe.",
        "text/markdown",
        guide,
    )
    yield Resource(
        "kerf://runs", "runs", f"The newest {RECENT} runs in the archive.", "application/json", _runs
    )
    yield Resource(
        "kerf://chip", "chip", "This machine, as kernels are made for it.", "application/json", _chip
    )
    yield Resource(
        "kerf://cheats",
        "cheats",
        "Every known way to cheat a kernel's judge, and the verdict each gets.",
        "application/json",
        _cheats,
    )
    yield Resource(
        "kerf://problems",
        "problems",
        "The examples that come with kerf, with their paths.",
        "application/json",
        _overview,
    )


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, default=_plain)


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else str(value)


# ---------------------------------------------------------------- runs


def _runs() -> str:
    from kerf.runs import runs

    return _json(runs(limit=RECENT))


def _recent() -> Iterator[Resource]:
    from kerf.archive import Archive

    with Archive() as archive:
        records = archive.runs(RECENT)
    for r in records:
        yield _run(r.id, f"{r.problem_name}: {r.state}, {r.seconds:.0f} s by {r.proposer}.")


def _run(name: str, about: str) -> Resource:
    def read() -> str:
        from kerf.runs import show

        return _json(show(name))

    return Resource(f"kerf://runs/{name}", name, about, "application/json", read)


# ---------------------------------------------------------------- the machine and its judge


def _chip() -> str:
    from kerf.kernels.targets.cpu import native

    return _json(asdict(native()))


def _cheats() -> str:
    from kerf.kernels.redteam import read_corpus, shipped_corpus

    rows = [
        {
            "id": e.id,
            "name": e.name,
            "problem": e.problem,
            "verdict": list(map(str, e.expect)),
            "what": _remark(e.files["kernel.py"]),
        }
        for e in read_corpus(shipped_corpus())
        if e.kind == "attack"
    ]
    return _json({"attacks": rows})


def _remark(source: str) -> str:
    """The header's comment lines below its fields: what the cheat does."""
    lines = re.match(r"(?:#.*\n)*", source)
    said = [x.lstrip("# ") for x in (lines[0] if lines else "").splitlines()]
    return " ".join(x for x in said if not re.match(r"(id|problem|expect|reason):", x))


# ---------------------------------------------------------------- examples


@cache
def _examples() -> Mapping[str, Path]:
    """`domain/file` -> path, of every package `examples` beside a domain's declarations."""
    found: dict[str, Path] = {}
    for point in entry_points(group="kerf.verbs"):
        for folder in _folders(f"{point.module.rpartition('.')[0]}.examples"):
            files = (p for p in sorted(folder.iterdir()) if p.suffix in SOURCES and p.name != "__init__.py")
            found |= {f"{point.name}/{p.name}": p for p in files}
    return found


def _folders(package: str) -> list[Path]:
    spec = find_spec(package) if package.count(".") > 1 else None
    return [Path(p) for p in (spec.submodule_search_locations or ())] if spec else []


def _problems() -> Iterator[Resource]:
    for name, path in _examples().items():
        yield Resource(
            f"kerf://problems/{name}", name, f"An example, in {path}.", "text/plain", path.read_text
        )


def _overview() -> str:
    return _json({name: str(path) for name, path in _examples().items()})
