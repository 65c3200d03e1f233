"""A table in a TOML file set or removed, through tomlkit, which keeps the rest as it is; what comes out is read again and compared."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from kerf.core.types import KerfError


def merged(text: str, path: Sequence[str], value: Mapping[str, Any]) -> str:
    """`text` with every key of `value` in the table at `path`; other keys of it stay. A new table is added at the end. KerfError where that
    cannot be said in this file, or it is no TOML."""
    old = _loads(text)
    wanted = _with(old, path, value)
    if wanted == old:
        return text
    there = old
    for name in path:
        there = there.get(name, {})
    result = _updated(text, path, value) if there else _appended(text, path, value)
    with suppress(KerfError):
        if _loads(result) == wanted:
            return result
    raise KerfError(f"[{'.'.join(path)}] cannot be added where {path[0]} is written inline: add it by hand")


def _with(old: Mapping[str, Any], path: Sequence[str], value: Mapping[str, Any]) -> dict[str, Any]:
    if not path:
        return {**old, **value}
    inner = old.get(path[0], {})
    if not isinstance(inner, Mapping):
        raise KerfError(f"{path[0]!r} is no table: mend it by hand")
    return {**old, path[0]: _with(inner, path[1:], value)}


def _appended(text: str, path: Sequence[str], value: Mapping[str, Any]) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    table = tomlkit.dumps({k: v for k, v in value.items() if not isinstance(v, Mapping)})
    block = f"[{'.'.join(path)}]\n{table}"
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            block += f"\n[{'.'.join((*path, name))}]\n{tomlkit.dumps(inner)}"
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    return text + gap + block.replace("\n", newline)


def _updated(text: str, path: Sequence[str], value: Mapping[str, Any]) -> str:
    document = tomlkit.parse(text)
    table: Any = document
    for name in path:
        table = table[name]
    for name, inner in value.items():
        if table.get(name) != inner:
            table[name] = inner
    return tomlkit.dumps(document)


def removed(text: str, path: Sequence[str]) -> str:
    """`text` without the table at `path`; unchanged where there is none."""
    old, document = _loads(text), tomlkit.parse(text)
    table: Any = document
    for name in path[:-1]:
        old, table = old.get(name, {}), table.get(name, {})
    if path[-1] not in old:
        return text
    del table[path[-1]]
    return tomlkit.dumps(document)


def _loads(text: str) -> dict[str, Any]:
    try:
        tomlkit.parse(text)
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, TOMLKitError) as error:
        raise KerfError(str(error)) from error
