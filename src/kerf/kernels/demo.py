"""The demonstration: three shipped examples, optimized on this machine."""

from __future__ import annotations

import time
from importlib.resources import as_file, files
from typing import Any

from kerf.archive import Archive
from kerf.kernels.search import Request, Watch, budget_of, search


def run_demo(minutes: float, threads: int, watch: Watch) -> dict[str, Any]:
    """The JSON of `kerf demo`: one row an example, as `kerf optimize` gives it, and the reference's own time."""
    start, rows = time.monotonic(), []
    with Archive() as archive, as_file(files("kerf.kernels") / "examples") as folder:
        for path in sorted(folder.glob("*.py")):
            if path.name == "__init__.py":
                continue
            request = Request(str(path), {}, threads, "portfolio", 0)
            result = search(str(path), request, budget_of(None, minutes), archive=archive, watch=watch)
            eager = result["speedup"]["eager"]
            result["name"] = path.stem
            result["eager_ms"] = (
                result["time_ms"] * eager["median"] if eager and result.get("time_ms") else None
            )
            rows.append(result)
    return {"examples": rows, "threads": threads, "seconds": round(time.monotonic() - start, 1)}
