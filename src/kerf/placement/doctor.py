"""What placing needs of a machine, for `kerf doctor`."""

from __future__ import annotations


def _numba() -> str:
    import numba
    import scipy

    return f"numba {numba.__version__}, scipy {scipy.__version__}"


def _gymnasium() -> str:
    import gymnasium

    return str(gymnasium.__version__)


CHECKS = (
    ("compiled loops", True, "pip install 'kerf-ai[placement]'", _numba),
    ("the environment for learned policies", False, "pip install 'kerf-ai[rl]'", _gymnasium),
)
