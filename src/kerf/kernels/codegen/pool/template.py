"""Pooling as a template: what it takes, and what may vary."""

from __future__ import annotations

from collections.abc import Mapping

from kerf.kernels.codegen.pool.channels import ChannelsPool
from kerf.kernels.codegen.pool.indexed import IndexedPool
from kerf.kernels.codegen.pool.separable import SeparablePool
from kerf.kernels.codegen.pool.window import Window, window
from kerf.kernels.codegen.tail import split
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.ir import DType, Group, Pool
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import AHEAD, Chip

BANDS = (1, 4, 8)  # rows reduced before the first of them is read again along the row


class PoolTemplate:
    name = "pool"

    def accepts(self, group: Group) -> bool:
        tail = split(group, Pool)
        if tail is None:
            return False
        op = tail.main
        assert isinstance(op, Pool)
        kind = group.buffer(op.x).dtype
        return kind is not DType.BOOL and (op.kind == "max" or (kind.is_float and op.indices is None))

    def decisions(self, group: Group, chip: Chip, threads: int) -> tuple[Decision, ...]:
        op, w = _parts(group)
        if op.indices is not None or op.channels_last:
            return ()
        spans = tuple(b for b in (128, 256, 512, 1024, 2048) if b < 2 * max(w.out[2], 128))
        fits = [b for b in spans if 4 * (b * w.stride[2] + w.out[2]) <= chip.l1_bytes // 2] or [spans[0]]
        made = [
            Decision("block_w", spans, fits[-1]),
            Decision("row_unroll", (2, 4, 8), 4),
            Decision("band", BANDS, max(b for b in BANDS if b == 1 or 64 * b * w.size[2] <= chip.l1_bytes)),
        ]
        streams = group.bytes > chip.l3_bytes
        made.append(Decision("stream", (False, True), streams))
        made.append(Decision("ahead", AHEAD, chip.ahead_bytes(group.read, group.written) if streams else 0))
        if op.kind == "max" and w.kernel[2] > 2:
            doubled = (w.kernel[2] - 1).bit_length() * w.stride[2] < w.kernel[2] - 1
            made.append(Decision("row_window", ("direct", "doubling"), "doubling" if doubled else "direct"))
        if w.kernel[0] > 1:
            plane = 4 * w.size[1] * w.size[2]
            pays = w.kernel[1] > w.stride[1] and plane <= chip.l2_bytes // 2
            made.append(Decision("depth_first", (True, False), pays))
        return tuple(made)

    def emit(
        self, group: Group, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> Emitted:
        op, _ = _parts(group)
        tail = split(group, Pool)
        assert tail is not None
        kind = ChannelsPool if op.channels_last else IndexedPool if op.indices is not None else SeparablePool
        return kind(tail, op, choices, chip, threads, symbol).emit()


def _parts(group: Group) -> tuple[Pool, Window]:
    op = group.ops[0]
    assert isinstance(op, Pool)
    return op, window(op, group.buffer(op.x))
