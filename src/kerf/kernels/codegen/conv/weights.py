"""Weights in the order in which the register tile reads them."""

from __future__ import annotations

from dataclasses import dataclass

from kerf.kernels.codegen.conv.geometry import Geometry
from kerf.kernels.codegen.expr import CTYPE, loaded
from kerf.kernels.codegen.template import Packed
from kerf.kernels.ir import Buffer, Conv, Group, Map, Role, loads


@dataclass(frozen=True)
class Weights:
    """Packed [group][phase][block of rows][channel][tap][row], zero past the last filter."""

    geometry: Geometry
    buffer: Buffer
    kind: str
    rows: int

    @property
    def blocks(self) -> int:
        return -(-self.geometry.group_filters // self.rows)

    def phase_size(self, phase: int) -> int:
        return self.blocks * self.geometry.group_channels * len(self.geometry.phases[phase].taps) * self.rows

    def phase_offset(self, phase: int) -> int:
        return sum(self.phase_size(p) for p in range(phase))

    @property
    def group_size(self) -> int:
        return self.phase_offset(len(self.geometry.phases))

    @property
    def size(self) -> int:
        return self.geometry.groups * self.group_size

    def code(self, symbol: str) -> str:
        g = self.geometry
        loops = "\n".join(self._phase(symbol, i) for i in range(len(g.phases)))
        return f"""/* Weights as [group][phase][block of {self.rows} filters][channel][tap][filter]. */
static void {symbol}_pack(const void *const *sources, void *packed)
{{
    const {CTYPE[self.buffer.dtype]} *w = (const {CTYPE[self.buffer.dtype]} *)sources[0];
    {self.kind} *to = ({self.kind} *)packed;
    for (long g = 0; g < {g.groups}; g++) {{
{loops}
    }}
}}
"""

    def _phase(self, symbol: str, index: int) -> str:
        g, taps = self.geometry, self.geometry.phases[index].taps
        if not taps:
            return ""
        flat = ", ".join(str(t.flat) for t in taps)
        return f"""        {{
            static const int flat[] = {{{flat}}};
            for (long block = 0; block < {self.blocks}; block++)
                for (long c = 0; c < {g.group_channels}; c++)
                    for (long t = 0; t < {len(taps)}; t++)
                        for (long r = 0; r < {self.rows}; r++) {{
                            const long o = block * {self.rows} + r;
                            *to++ = o < {g.group_filters} ? {loaded(f"w[{weight_index(g, 'g', 'o', 'c')} + flat[t]]", self.buffer.dtype)} : 0;
                        }}
        }}"""


def weight_index(g: Geometry, group: str, filter_: str, channel: str) -> str:
    """The offset of the kernel of (filter, channel) of a group in PyTorch's layout, as C."""
    if g.transposed:
        return f"(({group} * {g.group_channels}L + {channel}) * {g.group_filters} + {filter_}) * {g.taps}"
    return f"(({group} * {g.group_filters}L + {filter_}) * {g.group_channels} + {channel}) * {g.taps}"


def packs_once(group: Group) -> bool:
    """Whether the weight is a parameter that nothing but the convolution reads, so that packing is not part of a call."""
    conv = group.ops[0]
    assert isinstance(conv, Conv)
    others = {ld.buffer for op in group.ops if isinstance(op, Map) for ld in loads(op.value)} | {
        conv.x,
        conv.bias,
    }
    return group.buffer(conv.weight).role is Role.PARAM and conv.weight not in others


def packed(group: Group, symbol: str, size: int, kind: str, bytes_each: int) -> tuple[Packed, ...]:
    """The declaration of the packed weight, where it is packed once."""
    conv = group.ops[0]
    assert isinstance(conv, Conv)
    if not packs_once(group):
        return ()
    return (Packed(conv.weight, f"{symbol}_pack", size * bytes_each, kind),)
