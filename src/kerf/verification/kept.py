"""Graphs kept on disk by the content of what they were made of: reading them again takes a tenth of the time that synthesis does.

A design that reads files while it is elaborated (`include`, $readmem, $fopen) is never kept: its text does not say what it depends on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import astuple, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kerf.toolchain.compilers import cache_folder
from kerf.verification.design import Design
from kerf.verification.graph import Graph, Node, Signal
from kerf.verification.netlist import Check, Netlist

MOST = 100
"""Graphs kept; the oldest go."""
READS_FILES = re.compile(r"`include|\$(readmem[bh]|fopen|fscanf|fread)")


def key_of(design: Design, texts: Mapping[str, str], *options: object) -> str:
    """What the graph depends on, as a name; "" where the text does not tell all of it."""
    rows = [texts.get(s.name, s.text) for s in design.sources]
    if any(READS_FILES.search(text) for text in rows):
        return ""
    tools = [version(p) for p in ("pyosys", "pyslang")]
    asked = [
        _makers(),
        tools,
        design.top,
        sorted(design.defines.items()),
        sorted(design.parameters.items()),
        options,
    ]
    told = hashlib.sha256(repr(asked).encode())
    for source, text in zip(design.sources, rows):
        told.update(
            f"\0{source.name}\0".encode("utf-8", "surrogatepass") + text.encode("utf-8", "surrogateescape")
        )
    return told.hexdigest()[:32]


@cache
def _makers() -> str:
    """The code that makes graphs: what an older one made is not what this one would."""
    told = hashlib.sha256()
    for name in ("graph", "netlist", "synthesis", "kept", "yosys_worker"):
        told.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return told.hexdigest()


def recall(key: str) -> tuple[Netlist, bool, tuple[str, ...]] | None:
    """What was kept under `key`: the netlist, whether it is stepped, and its notes. A file that cannot be read counts as none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(_path(key).read_text())
        return _netlist(found), bool(found["stepped"]), tuple(found["notes"])
    return None


def keep(key: str, made: Netlist, stepped: bool, notes: tuple[str, ...]) -> None:
    """Written whole or not at all; a full disk is no reason to stop."""
    graph = made.graph
    content = {
        "kind": list(map(int, graph.kind)), "left": graph.left, "right": graph.right, "inputs": graph.inputs, "latches": graph.latches,
        "signals": [astuple(s) for s in graph.signals.values()], "checks": [astuple(c) for c in made.checks],
        "clocks": made.clocks, "undriven": made.undriven, "stepped": stepped, "notes": notes,
    }  # fmt: skip
    with contextlib.suppress(OSError):
        path = _path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, separators=(",", ":"))
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                os.unlink(file.name)
                raise
        os.replace(file.name, path)
        for old in sorted(path.parent.glob("*.json"), key=lambda p: p.stat().st_mtime)[:-MOST]:
            old.unlink(missing_ok=True)


def _path(key: str) -> Path:
    return cache_folder() / "graphs" / f"{key}.json"


def _netlist(found: Mapping[str, Any]) -> Netlist:
    kind, left, right = found["kind"], found["left"], found["right"]
    known = {(left[n], right[n]): 2 * n for n in range(1, len(kind)) if kind[n] == Node.AND}
    signals = {}
    for row in found["signals"]:
        values = dict(zip((f.name for f in fields(Signal)), row))
        signals[values["name"]] = Signal(**{**values, "bits": tuple(values["bits"])})
    graph = Graph(kind, left, right, found["inputs"], found["latches"], signals, known)
    checks = tuple(Check(*row) for row in found["checks"])
    return Netlist(
        graph, checks, tuple((name, edge) for name, edge in found["clocks"]), tuple(found["undriven"])
    )
