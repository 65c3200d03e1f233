"""The helper functions of generated C: includes, and those `kf_` functions of `mathlib.h` and `amx.h` that a kernel mentions."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

INCLUDES = """#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif
"""
_NAME = re.compile(r"\bkf_\w+")


def prelude(code: str) -> str:
    """What must stand above `code`: the includes, then every helper that it names and what those need, in the order of
    the headers. Raises KeyError for a `kf_` name that is neither a helper nor defined in `code`."""
    blocks = helpers()
    wanted, queue = set[str](), _mentioned(code) - _defined(code)
    while queue:
        name = queue.pop()
        if name not in blocks:
            raise KeyError(f"no helper {name}")
        wanted.add(name)
        queue |= _mentioned(blocks[name]) - wanted
    chosen = dict.fromkeys(blocks[name] for name in blocks if name in wanted)
    return INCLUDES + "\n" + "".join(block + "\n\n" for block in chosen)


@cache
def helpers() -> dict[str, str]:
    """Helper name -> its text, comments included, in the order of the headers."""
    text = "\n\n".join(Path(__file__).with_name(n).read_text() for n in ("mathlib.h", "amx.h"))
    blocks = [b.strip() for b in re.split(r"\n\s*\n", text)]
    return {name: block for block in blocks for name in sorted(_defined(block))}


def _code(text: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def _mentioned(text: str) -> set[str]:
    return set(_NAME.findall(_code(text)))


def _defined(text: str) -> set[str]:
    """The kf_ names that `text` defines at file level: functions, types and constant tables."""
    code = _code(text)
    names = re.findall(
        r"^(?:static|typedef|extern|#define|#\s*define)\b[^;{(\[\n]*\b(kf_\w+)", code, re.MULTILINE
    )
    return set(names)
