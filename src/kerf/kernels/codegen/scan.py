"""Kernels of `Scan` ops."""

from __future__ import annotations

from collections.abc import Mapping

from kerf.kernels.codegen.template import Emitted
from kerf.kernels.ir import Group
from kerf.kernels.schedule import Decision, Value
from kerf.kernels.targets.cpu import Chip


class ScanTemplate:
    name = "scan"

    def accepts(self, group: Group) -> bool:
        return False

    def decisions(self, group: Group, chip: Chip, threads: int) -> tuple[Decision, ...]:
        return ()

    def emit(self, group: Group, choices: Mapping[str, Value], chip: Chip, threads: int, symbol: str) -> Emitted:
        raise ValueError(f"{group.name} is not accepted by the {self.name} template")


TEMPLATE = ScanTemplate()
