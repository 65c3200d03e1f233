"""`kerf doctor`: what this machine has for each domain, what is missing, and the one command that adds it.

Each domain declares its checks in the entry points `kerf.checks`: rows of (what, whether the domain needs it, what mends it, a function that says what was found
and raises where it is missing).
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any

from kerf import spoken as says
from kerf.core.types import KerfError
from kerf.core.verb import Result, Verb

Check = tuple[str, bool, str, Callable[[], str]]


def doctor() -> dict[str, Any]:
    """What this machine has for each domain, what is missing, and the one command that adds it."""
    checks = [_checked(area, *row) for area, row in _declared()]
    missing = [c for c in checks if not c["ok"] and c["needed"]]
    summary = "everything that is needed is here"
    if missing:
        summary = f"{len(missing)} missing: " + ", ".join(f"{c['what']} ({c['area']})" for c in missing)
    return {"ok": not missing, "summary": summary, "checks": checks}


def _declared() -> Iterator[tuple[str, Check]]:
    yield from (("all", row) for row in COMMON)
    for point in entry_points(group="kerf.checks"):
        yield from ((point.name, row) for row in point.load())


def _checked(area: str, what: str, needed: bool, fix: str, look: Callable[[], str]) -> dict[str, Any]:
    try:
        found, ok = look(), True
    except (KerfError, ImportError, OSError) as error:
        found, ok = str(error).splitlines()[0], False
    return {"area": area, "what": what, "ok": ok, "needed": needed, "found": found, "fix": "" if ok else fix}


def _system() -> str:
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        raise KerfError(
            f"{sys.platform} on {platform.machine()}: kernels and the sandbox need Linux; placing does not"
        )
    return f"Linux {platform.release()} on {platform.machine()}"


def _isolation() -> str:
    from kerf.sandbox import isolation

    found = isolation()
    if not found.sufficient:
        raise KerfError(f"not enough: {found.describe()}")
    return found.describe()


def _archive() -> str:
    from kerf.archive import Archive

    with Archive() as archive:
        return f"{archive.folder} ({len(archive.runs())} runs)"


COMMON: tuple[Check, ...] = (
    ("system", True, "run kerf on Linux, x86-64 or AArch64 (a container will do)", _system),
    ("sandbox", True, "allow unprivileged user namespaces: sysctl kernel.unprivileged_userns_clone=1 (or judge with --trust)", _isolation),
    ("archive", True, "set KERF_HOME to a folder that can be written", _archive),
)  # fmt: skip


def _text(result: Result) -> str:
    lines = [
        f"{'ok  ' if c['ok'] else 'MISS' if c['needed'] else 'none'}  {c['area']:<12} {c['what']}: {c['found']}"
        + (f"\n        {c['fix']}" if not c["ok"] else "")
        for c in result["checks"]
    ]
    return "\n".join([*lines, "", result["summary"]])


VERBS = (Verb("doctor", doctor, _text, reads_only=True, says=says.DOCTOR),)
