"""The eight orientations of LEF/DEF, as small integers and as matrices.

The codes follow DEF's order: N, W, S, E, then the same four flipped about the y axis
after the turn: FN, FW, FS, FE (LEF/DEF 5.8 language
reference, "Specifying orientation"). An offset from a cell's centre, measured with the cell in N, is where its matrix sends it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NAMES = ("N", "W", "S", "E", "FN", "FW", "FS", "FE")
CODES = {name: code for code, name in enumerate(NAMES)}
N, W, S, E, FN, FW, FS, FE = range(8)

MATRICES: NDArray[np.float64] = np.array(
    [
        [[1, 0], [0, 1]],
        [[0, -1], [1, 0]],
        [[-1, 0], [0, -1]],
        [[0, 1], [-1, 0]],
        [[-1, 0], [0, 1]],
        [[0, 1], [1, 0]],
        [[1, 0], [0, -1]],
        [[0, -1], [-1, 0]],
    ],
    dtype=np.float64,
)
"""(8, 2, 2): `MATRICES[code] @ (dx, dy)` is the offset after orienting the cell."""

TURNED: NDArray[np.bool_] = np.arange(8) % 2 == 1
"""(8,): whether width and height change places."""
