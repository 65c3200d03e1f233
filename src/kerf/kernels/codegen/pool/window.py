"""What a pooling window is: the pooled dimensions of an op, always as three."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from kerf.kernels.ir import Buffer, Pool


@dataclass(frozen=True)
class Window:
    """The pooled dimensions of a `Pool`, as three: depth, height, width; missing ones have extent 1. `planes` of them follow one another,
    and `channels` lie side by side at every place."""

    planes: int
    channels: int
    size: tuple[int, ...]
    out: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    def uniform(self, include_pad: bool) -> bool:
        """Does every window hold the same number of elements, counted as the average's divisor counts them?"""
        margin = self.padding if include_pad else (0, 0, 0)
        low = all(m >= p for m, p in zip(margin, self.padding))
        ends = [(o - 1) * s - p + k for o, s, p, k in zip(self.out, self.stride, self.padding, self.kernel)]
        return low and all(end <= n + m for end, n, m in zip(ends, self.size, margin))


def window(op: Pool, x: Buffer) -> Window:
    d = len(op.kernel)

    def three(values: tuple[int, ...], fill: int) -> tuple[int, ...]:
        return (fill,) * (3 - d) + tuple(values)

    first, end = (1, d + 1) if op.channels_last else (len(x.shape) - d, len(x.shape))
    return Window(
        planes=prod(x.shape[:first]), channels=prod(x.shape[end:]),
        size=three(x.shape[first:end], 1), out=three(op.out.shape[first:end], 1), kernel=three(op.kernel, 1),
        stride=three(op.stride, 1), padding=three(op.padding, 0), dilation=three(op.dilation, 1),
    )  # fmt: skip
