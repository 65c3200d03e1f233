"""Factorizations of matrices and what is solved with them: LAPACK's, called as they are, with generated code around them."""

from __future__ import annotations

from typing import Any

from kerf.core.types import KerfError
from kerf.kernels.lower.library import call
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


@lowers("kerf.lstsq.default")
def _lstsq(c: Context, a: Value, b: Value, rcond: float | None, driver: str | None) -> Any:
    read = [user for user in c.node.users if user.args[1] == 1 and user.users]
    if read:
        raise KerfError(
            "the residuals of torch.linalg.lstsq have a shape that depends on the rank of the matrix; compute them from the solution: "
            "(A @ X - B).square().sum(-2)"
        )
    return call(c, "aten.linalg_lstsq.default", (a, b, rcond), {"driver": driver})


@lowers("kerf.ctc_loss.default")
def _ctc_loss(c: Context, *args: Any) -> Any:
    return call(c, "aten.ctc_loss.Tensor", args, {})
