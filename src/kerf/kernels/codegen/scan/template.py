"""Running sums, products, extrema and log-sum-exps along any axis, as a template: what it takes, and what may vary."""

from __future__ import annotations

from collections.abc import Mapping

from kerf.kernels.codegen.scan.columns import ColumnScan
from kerf.kernels.codegen.scan.rows import RowScan
from kerf.kernels.codegen.scan.writer import LINE, Extent, extent, scan_of
from kerf.kernels.codegen.tail import split
from kerf.kernels.codegen.template import Emitted
from kerf.kernels.ir import Group, Scan
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import AHEAD, Chip


class ScanTemplate:
    name = "scan"

    def accepts(self, group: Group) -> bool:
        tail = split(group, Scan)
        if tail is None:
            return False
        op = tail.main
        assert isinstance(op, Scan)
        return op.kind != "logsumexp" or op.value.dtype.is_float

    def decisions(self, group: Group, chip: Chip, threads: int) -> tuple[Decision, ...]:
        op = scan_of(group)
        e = extent(op)
        if e.inner > 1:
            return _column_decisions(group, e, chip)
        return (
            Decision("chunk", (64, 128, 256, 1024, 4096), 128),
            Decision("stream", (False, True), _row_streams(group, chip)),
            *_ahead(group, chip, _row_streams(group, chip)),
            Decision("split_rows", (True, False), threads > 1 and e.outer < threads and e.length >= 16384),
        )

    def emit(
        self, group: Group, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str
    ) -> Emitted:
        tail = split(group, Scan)
        assert tail is not None
        kind = ColumnScan if extent(scan_of(group)).inner > 1 else RowScan
        return kind(tail, choices, chip, threads, symbol).emit()


def _ahead(group: Group, chip: Chip, streams: bool) -> tuple[Decision, ...]:
    """Bytes by which what is read is fetched before it is used, where it does not lie in a near cache: beside plain stores, which read
    their lines too, it takes 5 % longer."""
    far = group.buffer(scan_of(group).out.name).bytes > chip.l2_bytes
    first = chip.ahead_bytes(group.read, group.written) if streams else 0
    return (Decision("ahead", AHEAD, first),) if far else ()


def _row_streams(group: Group, chip: Chip) -> bool:
    """Results past the caches by default? Where every vector of them is a line (measured beside loads that are fetched ahead)."""
    op = scan_of(group)
    size = op.out.dtype.bytes
    lines = extent(op).length * size % LINE == 0 and chip.vector_bits == 8 * LINE and op.kind != "prod"
    return lines and group.bytes > chip.l3_bytes and chip.fetches_ahead


def _column_decisions(group: Group, e: Extent, chip: Chip) -> tuple[Decision, ...]:
    """Whole rows, in the order of memory; several at once where the running row alone would fill half of the first-level cache."""
    widths = tuple(w for w in (64, 256, 1024, 4096, 16384) if w < 4 * e.inner) or (64,)
    streams = group.bytes > chip.l3_bytes
    return (
        Decision("block_inner", widths, widths[-1]),
        Decision("rows", (1, 4, 8), 1 if 16 * min(e.inner, widths[-1]) <= chip.l1_bytes else 8),
        Decision("stream", (False, True), streams),
        *_ahead(group, chip, streams),
    )
