"""The weighted-average wirelength and its gradient on one axis, compiled by numba.

The model is that of Hsu, Chang and Balabanov (DAC 2011): the largest coordinate of a net is approximated by the average of its pins'
coordinates weighted with exp(x / gamma), the smallest likewise with -gamma. Nets of one degree are stored side by side, pin j of
all of them together, so that every inner loop runs over nets and becomes vector instructions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

BLOCK = 2048
"""Pins handled at a time: their coordinates and exponentials stay in the first-level cache."""
LEAST = 16
"""Nets handled at a time at least, whatever their degree: one vector."""

LOG2_E = np.float32(1.4426950408889634)
# 2**f on [-0.5, 0.5], least squares on the relative error: below 3e-6.
C0, C1, C2, C3, C4 = (np.float32(c) for c in (0.99999919, 0.69312197, 0.24024981, 0.05591704, 0.00956051))
ONE = np.float32(1)
HALF = np.float32(0.5)
LOWEST = np.float32(-60)
"""Powers of two below this are of no account, and their products would be denormal: a hundred times slower."""
BIAS, MANTISSA = np.int32(127), np.int32(23)


@njit(cache=True, fastmath=True, inline="always")
def falling_exp(value: np.float32) -> np.float32:
    """exp(value) for value <= 0 in float32, with a relative error below 5e-6: the exponent by shifting bits, the rest by a polynomial."""
    power = max(value * LOG2_E, LOWEST)
    whole = np.int32(power - HALF)
    f = power - np.float32(whole)
    mantissa = C0 + f * (C1 + f * (C2 + f * (C3 + f * C4)))
    return mantissa * np.int32((whole + BIAS) << MANTISSA).view(np.float32)


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def weighted_average(
    at: np.ndarray,
    groups: np.ndarray,
    owner: np.ndarray,
    offset: np.ndarray,
    weight: np.ndarray,
    sharpness: float,
    pull: np.ndarray,
    gradient: bool,
) -> float:
    """The sum of weighted spans of all nets in the groups; their smoothed gradient with respect to each pin goes to `pull`.

    at: coordinate of each object. groups: (K, 4), a row per degree: degree, nets, first net, first pin. owner, offset, pull: (P,)
    in the transposed order. weight: (M,). sharpness: 1 / gamma. Without `gradient` only the sum is made."""
    place = np.empty(BLOCK * 2, np.float32)
    high_exp = np.empty(BLOCK * 2, np.float32)
    low_exp = np.empty(BLOCK * 2, np.float32)
    sums = np.empty((6, BLOCK), np.float32)
    total: Any = 0.0
    for group in range(len(groups)):
        degree, nets, first_net, first_pin = groups[group]
        step = max(LEAST, BLOCK // degree)
        if step * degree > len(place):
            place = np.empty(step * degree, np.float32)
            high_exp = np.empty(step * degree, np.float32)
            low_exp = np.empty(step * degree, np.float32)
        for begin in range(0, nets, step):
            count = min(step, nets - begin)
            pins = first_pin + begin
            weights = weight[first_net + begin : first_net + begin + count]
            if degree == 2:
                total += _pairs(
                    at, owner, offset, weights, np.float32(sharpness), pull, pins, nets, count, gradient
                )
            else:
                total += _spans(at, owner, offset, weights, pins, nets, degree, count, place, sums)
                if gradient:
                    _average(np.float32(sharpness), nets, degree, count, place, high_exp, low_exp, sums)
                    _pulls(
                        np.float32(sharpness),
                        weights,
                        pull,
                        pins,
                        nets,
                        degree,
                        count,
                        place,
                        high_exp,
                        low_exp,
                        sums,
                    )
    return total


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def _pairs(
    at: np.ndarray,
    owner: np.ndarray,
    offset: np.ndarray,
    weight: np.ndarray,
    sharpness: np.float32,
    pull: np.ndarray,
    pins: int,
    stride: int,
    count: int,
    gradient: bool,
) -> np.float32:
    """Nets of two pins: the weighted averages differ by d tanh(d / 2 gamma), with one exponential."""
    total = np.float32(0)
    first_owner, second_owner = owner[pins : pins + count], owner[pins + stride : pins + stride + count]
    first_offset, second_offset = offset[pins : pins + count], offset[pins + stride : pins + stride + count]
    first_pull, second_pull = pull[pins : pins + count], pull[pins + stride : pins + stride + count]
    for i in range(count):
        d = (at[first_owner[i]] + first_offset[i]) - (at[second_owner[i]] + second_offset[i])
        span = abs(d)
        total += weight[i] * span
        if gradient:
            e = falling_exp(-span * sharpness)
            tanh = (ONE - e) / (ONE + e)
            g = weight[i] * (tanh + HALF * span * sharpness * (ONE - tanh * tanh))
            g = g if d > 0 else -g
            first_pull[i] = g
            second_pull[i] = -g
    return total


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def _spans(
    at: np.ndarray,
    owner: np.ndarray,
    offset: np.ndarray,
    weight: np.ndarray,
    pins: int,
    stride: int,
    degree: int,
    count: int,
    place: np.ndarray,
    sums: np.ndarray,
) -> np.float32:
    """Coordinates of the pins, and each net's largest and smallest, in `sums[0]` and `sums[1]`."""
    high, low = sums[0, :count], sums[1, :count]
    high[:] = np.float32(-1e30)
    low[:] = np.float32(1e30)
    for j in range(degree):
        p = pins + j * stride
        owners, offsets = owner[p : p + count], offset[p : p + count]
        here = place[j * count : (j + 1) * count]
        for i in range(count):
            value = at[owners[i]] + offsets[i]
            here[i] = value
            high[i] = max(high[i], value)
            low[i] = min(low[i], value)
    total = np.float32(0)
    for i in range(count):
        total += weight[i] * (high[i] - low[i])
    return total


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def _average(
    sharpness: np.float32,
    stride: int,
    degree: int,
    count: int,
    place: np.ndarray,
    high_exp: np.ndarray,
    low_exp: np.ndarray,
    sums: np.ndarray,
) -> None:
    """Exponentials of each pin; per net their sums and, relative to its ends, the two weighted averages, in `sums[2:6]`."""
    high, low = sums[0, :count], sums[1, :count]
    high_sum, high_mean, low_sum, low_mean = (
        sums[2, :count],
        sums[3, :count],
        sums[4, :count],
        sums[5, :count],
    )
    high_sum[:] = 0
    high_mean[:] = 0
    low_sum[:] = 0
    low_mean[:] = 0
    for j in range(degree):
        part = slice(j * count, (j + 1) * count)
        here, up, down = place[part], high_exp[part], low_exp[part]
        for i in range(count):
            below, above = here[i] - high[i], here[i] - low[i]
            e, f = falling_exp(below * sharpness), falling_exp(-above * sharpness)
            up[i], down[i] = e, f
            high_sum[i] += e
            high_mean[i] += below * e
            low_sum[i] += f
            low_mean[i] += above * f
    for i in range(count):
        high_sum[i] = ONE / high_sum[i]
        high_mean[i] *= high_sum[i]
        low_sum[i] = ONE / low_sum[i]
        low_mean[i] *= low_sum[i]


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def _pulls(
    sharpness: np.float32,
    weight: np.ndarray,
    pull: np.ndarray,
    pins: int,
    stride: int,
    degree: int,
    count: int,
    place: np.ndarray,
    high_exp: np.ndarray,
    low_exp: np.ndarray,
    sums: np.ndarray,
) -> None:
    """The gradient of the difference of the two weighted averages with respect to each pin."""
    high, low = sums[0, :count], sums[1, :count]
    high_sum, high_mean, low_sum, low_mean = (
        sums[2, :count],
        sums[3, :count],
        sums[4, :count],
        sums[5, :count],
    )
    for j in range(degree):
        part = slice(j * count, (j + 1) * count)
        here, up, down = place[part], high_exp[part], low_exp[part]
        p = pins + j * stride
        out = pull[p : p + count]
        for i in range(count):
            rise = up[i] * high_sum[i] * (ONE + (here[i] - high[i] - high_mean[i]) * sharpness)
            fall = down[i] * low_sum[i] * (ONE - (here[i] - low[i] - low_mean[i]) * sharpness)
            out[i] = weight[i] * (rise - fall)


@njit(cache=True, fastmath=True, nogil=True)
def gather(start: np.ndarray, pins: np.ndarray, pull: np.ndarray, scale: float, out: np.ndarray) -> None:
    """The sum of `pull` over the pins of each cell, times scale. start: (N + 1,), pins: (P,) in the order of cells."""
    for cell in range(len(start) - 1):
        total = np.float32(0)
        for i in range(start[cell], start[cell + 1]):
            total += pull[pins[i]]
        out[cell] = total * np.float32(scale)
