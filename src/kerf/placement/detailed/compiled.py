"""How this package compiles its loops: `outer` for what Python calls, `inner` for what only compiled code calls.

Inner functions get no wrapper for Python, which halves the time that compiling takes: a `Board` has some forty arrays to unpack. Calling
one from Python is therefore an error that nothing catches."""

from __future__ import annotations

from typing import Any

from numba import njit

_UNWRAPPED: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

outer = njit(cache=True, nogil=True, error_model="numpy")
inner = njit(cache=True, error_model="numpy", **_UNWRAPPED)
