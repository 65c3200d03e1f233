"""A placement as a few bytes, exactly, and back: for the archive (as text) and for a run's folder (as files)."""

from __future__ import annotations

import base64
import io
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerf.core.types import KerfError
from kerf.placement.design import Design, Placement


def pack(placement: Placement) -> str:
    """Text of a placement: x and y as 64-bit floats, then orientations, compressed, in base 64."""
    raw = placement.x.astype("<f8").tobytes() + placement.y.astype("<f8").tobytes()
    return base64.b64encode(zlib.compress(raw + placement.orient.astype("i1").tobytes(), 6)).decode()


def unpack(text: str, design: Design) -> Placement:
    """KerfError where the text is not of a placement of this design."""
    raw = zlib.decompress(base64.b64decode(text))
    if len(raw) != 17 * design.cells:
        raise KerfError(f"{design.name}: what was kept is a placement of another design")
    half = 8 * design.cells
    x, y = (np.frombuffer(raw[i * half : (i + 1) * half], "<f8").astype(np.float64) for i in (0, 1))
    return Placement(x, y, np.frombuffer(raw[2 * half :], "i1").astype(np.int64))


def write(path: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Arrays and JSON in one .npz, whole or not at all. Raises OSError."""
    contents: dict[str, Any] = {**arrays, "facts": np.array(json.dumps(dict(facts)))}
    data = io.BytesIO()
    np.savez_compressed(data, **contents)
    write_bytes(path, data.getvalue())


def write_bytes(path: Path, data: bytes) -> None:
    """Whole or not at all. Raises OSError, and leaves nothing of it behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """What `write` wrote; None where there is nothing, or nothing whole."""
    try:
        with np.load(path) as found:
            arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError, zlib.error, EOFError):
        return None
    return arrays, json.loads(str(arrays.pop("facts")))
