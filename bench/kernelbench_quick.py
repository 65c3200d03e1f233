"""`kernelbench.py --fast`: one default candidate, built, compared and timed in the process that calls."""

from __future__ import annotations

import copy
import importlib.util
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from kerf.kernels.build import builder
from kerf.kernels.problem import KernelProblem, load_problem
from kerf.kernels.tensors import flat_tensors

PAIRS = 5
FACTOR, FLOOR = 8.0, 2e-5  # times eager's own error, and relative to the largest value

Row = dict[str, Any]


def check(path: Path, sizes: dict[str, Any], threads: int) -> Row:
    return judged(load_problem(path, sizes, check=False), threads)


def judged(problem: KernelProblem, threads: int) -> Row:
    """Build the default candidate of `problem`, compare it, time it beside eager."""
    torch.set_num_threads(threads)
    start = time.perf_counter()
    build = builder(problem, threads)
    captured = time.perf_counter()
    files = build.files(build.space.default())
    generated = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        new = _loaded(files, Path(folder))
        compiled = time.perf_counter()
        new.load_state_dict(problem.module.state_dict())
        inputs = problem.inputs()
        with torch.no_grad():
            row = compared(problem, new, inputs)
            row |= timed(problem, new, inputs) if row["status"] == "passed" else {}
    library = [p["what"] for p in json.loads(files["manifest.json"])["provenance"] if p["by"] == "library"]
    seconds = [captured - start, generated - captured, compiled - generated]
    return row | {
        "library": library,
        "seconds": dict(zip(("capture", "generate", "compile"), [round(s, 2) for s in seconds], strict=True)),
        "generated": len(library) < len(json.loads(files["manifest.json"])["provenance"]),
        "remark": " ".join([f"{s:.1f}" for s in seconds] + library),
    }


def _loaded(files: dict[str, str], folder: Path) -> Any:
    for name, text in files.items():
        (folder / name).write_text(text)
    spec = importlib.util.spec_from_file_location("candidate", folder / "kernel.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ModelNew()


def compared(problem: KernelProblem, new: torch.nn.Module, inputs: list[Any]) -> Row:
    """Largest error against the reference in float64, relative to its largest value; beside it the reference's own."""
    got = list(flat_tensors(new(*_copies(inputs))))
    again = list(flat_tensors(new(*_copies(inputs))))
    want = list(flat_tensors(problem.fresh_module()(*_copies(inputs))))
    if [g.shape for g in got] != [w.shape for w in want] or [g.dtype for g in got] != [w.dtype for w in want]:
        return {"status": "wrong", "note": f"shapes {[tuple(g.shape) for g in got]}"}
    exact = _in_float64(problem, inputs) or want
    stateless = not problem.module.training or not dict(problem.module.named_buffers())
    for g, a, w, x in zip(got, again, want, exact, strict=True):
        mine, theirs = _error(g, x), _error(w, x)
        if not mine <= FACTOR * theirs + FLOOR * _roughness(w):
            return {"status": "wrong", "note": f"error {mine:.1e}, eager's {theirs:.1e}"}
        if stateless and not _error(a, g) <= FACTOR * theirs + FLOOR * _roughness(w):
            return {"status": "wrong", "note": "another answer at the second call"}
    return {"status": "passed", "error": max(map(_error, got, exact), default=0.0)}


def _copies(inputs: list[Any]) -> Iterator[Any]:
    return (a.clone() if isinstance(a, torch.Tensor) else a for a in inputs)


def _in_float64(problem: KernelProblem, inputs: list[Any]) -> list[torch.Tensor] | None:
    wide = [
        a.double() if isinstance(a, torch.Tensor) and a.dtype.is_floating_point else a
        for a in _copies(inputs)
    ]
    try:
        return list(flat_tensors(copy.deepcopy(problem.module).double()(*wide)))
    except Exception:
        return None


def _error(a: torch.Tensor, exact: torch.Tensor) -> float:
    x, y = a.double(), exact.double()
    same = (x == y) | (x.isnan() & y.isnan())
    gap = torch.where(same, torch.zeros_like(x), (x - y).abs().nan_to_num(nan=float("inf")))
    finite = y[y.isfinite()]
    scale = float(finite.abs().max()) if finite.numel() else 1.0
    return float(gap.max()) / (scale or 1.0) if gap.numel() else 0.0


def _roughness(want: torch.Tensor) -> float:
    return 400.0 if want.dtype in (torch.bfloat16, torch.float16) else 1.0


def timed(problem: KernelProblem, new: Any, inputs: list[Any]) -> Row:
    module = problem.fresh_module()
    out = tuple(torch.empty_like(t).contiguous() for t in flat_tensors(module(*inputs)))
    runs = (lambda: new.run(*inputs, out)), (lambda: module(*inputs))
    times: tuple[list[float], list[float]] = ([], [])
    for i in range(PAIRS):
        for which in (0, 1) if i % 2 else (1, 0):
            start = time.process_time()
            runs[which]()
            times[which].append(time.process_time() - start)
    mine, eager = (statistics.median(t) for t in times)
    return {"time_ms": mine * 1e3, "eager_ms": eager * 1e3, "speedup": {"eager": {"median": eager / mine}}}
