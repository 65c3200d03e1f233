"""A convolution's shape as the generators see it: always three spatial dimensions, and output positions that read a
stride-1 input.

Both forms are brought to one. A strided convolution reads an input split into `stride` phases per dimension (a
polyphase split), in each of which neighbouring outputs read neighbouring elements. A transposed convolution is a gather: the
outputs with the same residue modulo the stride form an ordinary stride-1 convolution over a subset of the taps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

from kerf.kernels.ir import Conv, Group

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Tap:
    """One weight position. `flat`: its index among the kernel's; `site`: which of `Geometry.sites` it reads."""

    flat: int
    site: int


@dataclass(frozen=True)
class Phase:
    """The outputs at positions q * out_stride + residue, and the taps that reach them."""

    residue: Triple
    taps: tuple[Tap, ...]


@dataclass(frozen=True)
class Site:
    """Where a tap reads: the input's phase in each dimension (an index into `Geometry.used`) and the shift from q."""

    phase: Triple
    shift: Triple


@dataclass(frozen=True)
class _Dim:
    """One dimension: per residue the taps as (kernel index, input phase, shift); input index = q * step + phase + origin."""

    residues: tuple[tuple[tuple[int, int, int], ...], ...]
    step: int
    origin: int


@dataclass(frozen=True)
class Geometry:
    """`inside`, `outside`, `kernel` are (D, H, W) extents, 1 where the convolution has fewer dimensions."""

    batch: int
    channels: int
    filters: int
    groups: int
    inside: Triple
    outside: Triple
    kernel: Triple
    stride: Triple
    padding: Triple
    dilation: Triple
    transposed: bool

    @property
    def group_channels(self) -> int:
        return self.channels // self.groups

    @property
    def group_filters(self) -> int:
        return self.filters // self.groups

    @property
    def in_plane(self) -> int:
        return prod(self.inside)

    @property
    def out_plane(self) -> int:
        return prod(self.outside)

    @property
    def taps(self) -> int:
        return prod(self.kernel)

    @property
    def out_stride(self) -> Triple:
        """Distance of the outputs of one phase."""
        return self.stride if self.transposed else (1, 1, 1)

    @property
    def quotient(self) -> Triple:
        """Outputs of a phase per dimension: q runs over these (the last may lie outside for some residues)."""
        d, h, w = (-(-e // s) for e, s in zip(self.outside, self.out_stride, strict=True))
        return d, h, w

    @property
    def flops(self) -> float:
        """Multiplications and additions that touch no padding count as those that do."""
        plane = self.in_plane if self.transposed else self.out_plane
        rows = self.channels * self.group_filters if self.transposed else self.filters * self.group_channels
        return 2.0 * self.batch * plane * rows * self.taps

    @property
    def is_pointwise(self) -> bool:
        """Each output reads exactly the input at its own position."""
        ones = (1, 1, 1)
        return (
            self.kernel == ones
            and self.stride == ones
            and self.padding == (0, 0, 0)
            and self.inside == self.outside
        )

    @cached_property
    def _dims(self) -> tuple[_Dim, _Dim, _Dim]:
        make = _transposed_dim if self.transposed else _forward_dim
        d, h, w = (make(*a) for a in zip(self.kernel, self.stride, self.padding, self.dilation, strict=True))
        return d, h, w

    @cached_property
    def used(self) -> tuple[tuple[int, ...], ...]:
        """Per dimension the input phases that some tap reads, ascending."""
        return tuple(tuple(sorted({p for r in d.residues for _, p, _ in r})) or (0,) for d in self._dims)

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        found: dict[Site, None] = {}
        for _, combos in self._combined:
            found.update((site, None) for _, site in combos)
        return tuple(found)

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        where = {site: i for i, site in enumerate(self.sites)}
        return tuple(Phase(r, tuple(Tap(f, where[s]) for f, s in combos)) for r, combos in self._combined)

    @cached_property
    def _combined(self) -> tuple[tuple[Triple, tuple[tuple[int, Site], ...]], ...]:
        d, h, w = self._dims
        return tuple(
            (
                (rd, rh, rw),
                tuple(self._tap(t) for t in product(d.residues[rd], h.residues[rh], w.residues[rw])),
            )
            for rd, rh, rw in product(range(len(d.residues)), range(len(h.residues)), range(len(w.residues)))
        )

    def _tap(self, taps: tuple[tuple[int, int, int], ...]) -> tuple[int, Site]:
        (kd, pd, sd), (kh, ph, sh), (kw, pw, sw) = taps
        index = (self.used[0].index(pd), self.used[1].index(ph), self.used[2].index(pw))
        return (kd * self.kernel[1] + kh) * self.kernel[2] + kw, Site(index, (sd, sh, sw))

    @cached_property
    def reach(self) -> Triple:
        """The largest shift per dimension: a block of n outputs reads n + reach elements."""
        d, h, w = (max((s for r in dim.residues for _, _, s in r), default=0) for dim in self._dims)
        return d, h, w

    @cached_property
    def step(self) -> Triple:
        """Input elements between neighbours of a phase."""
        return self._dims[0].step, self._dims[1].step, self._dims[2].step

    @cached_property
    def origin(self) -> Triple:
        """Input index of element 0 of phase 0 at q = 0 (negative: padding)."""
        return self._dims[0].origin, self._dims[1].origin, self._dims[2].origin


def _forward_dim(kernel: int, stride: int, padding: int, dilation: int) -> _Dim:
    taps = tuple((t, t * dilation % stride, t * dilation // stride) for t in range(kernel))
    return _Dim((taps,), stride, -padding)


def _transposed_dim(kernel: int, stride: int, padding: int, dilation: int) -> _Dim:
    """out[q * s + r] gathers x[q + (r + p - t * d) / s] over the taps t that divide."""
    raw = [
        [
            (t, (r + padding - t * dilation) // stride)
            for t in range(kernel)
            if (r + padding - t * dilation) % stride == 0
        ]
        for r in range(stride)
    ]
    low = min((e for taps in raw for _, e in taps), default=0)
    return _Dim(tuple(tuple((t, 0, e - low) for t, e in taps) for taps in raw), 1, low)


def geometry(group: Group) -> Geometry:
    """The geometry of a group's first op, which must be a `Conv`."""
    op = group.ops[0]
    assert isinstance(op, Conv)
    weight = group.buffer(op.weight)
    x, out = (_channels_first(s) if op.channels_last else s for s in (group.buffer(op.x).shape, op.out.shape))
    return Geometry(
        batch=x[0],
        channels=x[1],
        filters=out[1],
        groups=op.groups,
        inside=_triple(x[2:], 1),
        outside=_triple(out[2:], 1),
        kernel=_triple(weight.shape[2:], 1),
        stride=_triple(op.stride, 1),
        padding=_triple(op.padding, 0),
        dilation=_triple(op.dilation, 1),
        transposed=op.transposed,
    )


def _channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], shape[-1], *shape[1:-1])


def _triple(values: tuple[int, ...], fill: int) -> Triple:
    d, h, w = (fill,) * (3 - len(values)) + tuple(values)
    return d, h, w
