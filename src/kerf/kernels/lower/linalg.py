"""Factorizations of matrices and what is solved with them: LAPACK's, called as they are, with generated code around them."""

from __future__ import annotations

from typing import Any

from kerf.kernels.lower.registry import Context, lowers
from kerf.kernels.lower.values import Value


def _whole(c: Context, *_: Any, **__: Any) -> Value:
    raise LookupError("torch calls LAPACK and looks whether it failed")


# Taken apart, these are a factorization and a check of its success, which a graph can order by side effects only. Whole, they raise for
# a singular matrix (one that is not positive definite) as the original does.
for _name in (
    "linalg_solve",
    "linalg_inv",
    "inverse",
    "linalg_cholesky",
    "linalg_lu_factor",
    "linalg_ldl_factor",
    "linalg_tensorinv",
):
    lowers(_name)(_whole)
