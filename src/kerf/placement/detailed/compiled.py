"""How this package compiles its loops: `outer` for what Python calls or what makes arrays, `inner` for the rest.

Inner functions count no references and have no wrapper for Python. A `Board` has some forty arrays: to count the references of each in every
call took most of the time (2.6 us for the change of a cell's nets, 0.3 us without), and their wrappers took half of compiling. Whoever
calls an inner function keeps its arrays alive; calling one from Python is an error that nothing catches."""

from __future__ import annotations

from typing import Any

from numba import njit

_BARE: dict[str, Any] = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

outer = njit(cache=True, nogil=True, error_model="numpy")
inner = njit(cache=True, error_model="numpy", **_BARE)
