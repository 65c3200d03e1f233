"""What a model writes, as a candidate: whole files, edits of an earlier candidate's, or a fenced block; and when two are the same."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Mapping
from typing import Any

from kerf.core.types import content_hash
from kerf.kernels.referee.candidate import Malformed, package
from kerf.proposers.agent.bench import Mistake
from kerf.proposers.agent.fence import blocks

SUBMISSION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "idea": {"type": "string", "description": "One sentence: what changes, and why it should be faster."},
        "base": {
            "type": "string",
            "description": "The candidate to start from, such as c3; default: the best so far.",
        },
        "files": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "Whole files by name, replacing or joining those of the base; usually kernel.c alone.",
        },
        "edits": {
            "type": "array",
            "description": "Changes to files of the base, in order: `old` must occur exactly once.",
            "items": {
                "type": "object",
                "properties": {
                    "file": {"type": "string"},
                    "old": {"type": "string"},
                    "new": {"type": "string"},
                },
                "required": ["file", "old", "new"],
            },
        },
        "alone": {
            "type": "boolean",
            "description": "Take nothing from a base: `files` is the whole candidate.",
        },
    },
    "required": ["idea"],
}


def applied(arguments: Mapping[str, Any], base: Mapping[str, str]) -> dict[str, str]:
    """The candidate's files. Mistake where nothing is changed or an edit does not fit."""
    files, edits = arguments.get("files") or {}, arguments.get("edits") or []
    if not isinstance(files, Mapping) or not all(isinstance(t, str) for t in files.values()):
        raise Mistake('`files` maps names to texts, such as {"kernel.c": "..."}')
    if not files and not edits:
        raise Mistake("nothing to evaluate: give `files` or `edits`")
    result = {**({} if arguments.get("alone") else base), **files}
    for edit in edits if isinstance(edits, list) else [None]:
        _edit(result, edit)
    try:
        package(result)
    except Malformed as error:
        raise Mistake(f"that is no candidate: {error}") from error
    return result


def _edit(files: dict[str, str], edit: Any) -> None:
    if not isinstance(edit, Mapping) or not all(isinstance(edit.get(k), str) for k in ("file", "old", "new")):
        raise Mistake('every edit is {"file": ..., "old": ..., "new": ...}')
    name, old = edit["file"], edit["old"]
    if name not in files:
        raise Mistake(f"no file {name!r} in the base; it has {', '.join(sorted(files))}")
    count = files[name].count(old) if old else 0
    if count != 1:
        raise Mistake(
            f"the `old` text of an edit occurs {count} times in {name}, not once: {old[:120]!r}. Look at the source again (read_candidate)."
        )
    files[name] = files[name].replace(old, edit["new"])


def written(text: str) -> dict[str, Any] | None:
    """An answer without a call: the last block of C is kernel.c, the last of Python that defines ModelNew is kernel.py."""
    files = {}
    if c := blocks(text, ("c", "cpp", "c++")):
        files["kernel.c"] = c[-1]
    if python := [b for b in blocks(text, ("python", "py")) if "ModelNew" in b]:
        files["kernel.py"] = python[-1]
    if not files:
        return None
    return {
        "files": files,
        "idea": text.partition("```")[0].strip()[:400],
        "alone": set(files) == {"kernel.py"},
    }


# ---------------------------------------------------------------- the same

_C_TOKENS = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|[A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.])*|\S",
    re.S,
)
_KEPT = re.compile(r"_mm\w*|__\w+|kf_\w+|kerf_\w+|omp_\w+")
_KEYWORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register restrict return "
    "short signed sizeof static struct switch typedef union unsigned void volatile while define undef include ifdef ifndef endif elif "
    "pragma omp simd parallel reduction collapse schedule unroll GCC ivdep memcpy memset"
)
_WORDS = frozenset(_KEYWORDS.split())


def form(files: Mapping[str, str]) -> str:
    """Equal for files that differ only in comments, spacing and the names that their author chose."""
    return content_hash(
        [
            [name, _shape(name, text)]
            for name, text in sorted(files.items())
            if name.endswith((".c", ".h", ".py"))
        ]
    )


def _shape(name: str, text: str) -> list[str]:
    return _python_shape(text) if name.endswith(".py") else _c_shape(text)


def _c_shape(text: str) -> list[str]:
    names: dict[str, str] = {}
    tokens = (t for t in _C_TOKENS.findall(text) if not t.startswith(("//", "/*")))
    return [_renamed(t, names) for t in tokens]


def _renamed(token: str, names: dict[str, str]) -> str:
    if not re.match(r"[A-Za-z_]", token) or token in _WORDS or _KEPT.fullmatch(token):
        return token
    return names.setdefault(token, f"n{len(names)}")


def _python_shape(text: str) -> list[str]:
    skipped, marks = (
        {tokenize.COMMENT, tokenize.NL},
        {tokenize.INDENT: ">", tokenize.DEDENT: "<", tokenize.NEWLINE: ";"},
    )
    try:
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        return [marks.get(t.type, t.string) for t in tokens if t.type not in skipped]
    except (tokenize.TokenError, SyntaxError):
        return [text]
