"""Poisson's equation on a grid of bins with no field across its border, solved by cosine transforms (ePlace, TODAES 2015)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from kerf.placement.analytic.field_kernels import PAD

Singles = NDArray[np.float32]


class Poisson:
    """The potential of a charge and its slopes. Bins are 1 wide and `aspect` high in the units of the potential; slopes are per bin."""

    def __init__(self, columns: int, rows: int, aspect: float, threads: int = 1) -> None:
        self.shape, self.threads = (columns, rows), threads
        self._across = (np.pi * np.arange(columns) / columns).astype(np.float32)[:, None]
        self._along = (np.pi * np.arange(rows) / rows).astype(np.float32)[None, :]
        squared = self._across**2 + (self._along / np.float32(aspect)) ** 2
        squared[0, 0] = 1
        self._inverse = 1 / squared
        self._inverse[0, 0] = 0
        padded = (columns + PAD, rows + PAD)
        self.slope_x, self.slope_y = np.zeros(padded, np.float32), np.zeros(padded, np.float32)

    def solve(self, charge: Singles) -> None:
        """Fill `slope_x` and `slope_y` from the charge of each bin, (columns, rows); its mean does not matter."""
        columns, rows = self.shape
        waves = fft.dctn(charge, type=2, workers=self.threads) * self._inverse
        sines = np.zeros_like(waves)
        sines[:-1] = -(waves * self._across)[1:]
        half = fft.idct(waves, type=2, axis=0, workers=self.threads)
        self.slope_x[:columns, :rows] = fft.idct(
            fft.idst(sines, type=2, axis=0, workers=self.threads), type=2, axis=1, workers=self.threads
        )
        sines[:, :-1] = -(half * self._along)[:, 1:]
        sines[:, -1] = 0
        self.slope_y[:columns, :rows] = fft.idst(sines, type=2, axis=1, workers=self.threads)
