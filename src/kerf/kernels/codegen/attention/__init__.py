"""Attention without the score matrix, with an elementwise tail."""

from __future__ import annotations

from collections.abc import Mapping

from kerf.kernels.codegen.attention import registers
from kerf.kernels.codegen.attention.writer import Writer, attention
from kerf.kernels.codegen.tail import split
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.codegen.vector import register_tiles
from kerf.kernels.ir import Attention, DType, Group
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import Chip

MANY = 256  # keys for which taking the weights apart pays: the products then outweigh it and the softmax
FLOATS = (DType.F32, DType.F16, DType.BF16)


class AttentionTemplate:
    name = "attention"

    def accepts(self, group: Group) -> bool:
        tail = split(group, Attention)
        if tail is None:
            return False
        op = tail.main
        assert isinstance(op, Attention)
        mask = group.buffer(op.mask).dtype if op.mask else DType.BOOL
        return all(group.buffer(n).dtype in FLOATS for n in (op.q, op.k, op.v)) and mask in (
            *FLOATS,
            DType.BOOL,
        )

    def decisions(self, group: Group, chip: Chip, threads: int) -> tuple[Decision, ...]:
        tiles = register_tiles(chip.registers)
        q, k = (group.buffer(n) for n in (attention(group).q, attention(group).k))
        rows = tuple(n for n in (16, 32, 64, 96, 192, 384) if n < 2 * max(q.shape[2], 16))
        keys = tuple(n for n in (64, 128, 256, 512) if n < 2 * max(k.shape[2], 64))
        block_q = max(
            n for n in rows if n <= (96 if attention(group).causal else 192)
        )  # panels of keys are read seldom
        fits = [n for n in keys if 4 * n * (block_q + k.shape[3]) <= chip.l2_bytes // 2]
        shared = threads > 1 and k.shape[0] * k.shape[1] < 2 * threads
        able = registers.possible(group, chip)
        return (
            *(
                (Decision("algorithm", ("amx", "vector"), "amx" if k.shape[2] >= MANY else "vector"),)
                if able
                else ()
            ),
            Decision("tile", tiles, tiles[0]),
            Decision("block_q", rows, block_q),
            Decision(
                "block_k",
                keys,
                min(max(fits or [keys[0]]), max(n for n in keys if n <= (512 if able else 256))),
            ),
            Decision("pack", ("head", "all"), "all" if shared else "head"),
        )

    def emit(
        self, group: Group, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> Emitted:
        tail = split(group, Attention)
        assert tail is not None
        if choices.get("algorithm") == "amx":
            return registers.emit(tail, choices, chip, threads, symbol)
        return Writer(tail, choices, chip, threads, symbol).emit()


TEMPLATE = AttentionTemplate()
