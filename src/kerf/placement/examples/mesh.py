"""A mesh of processing elements with memories, as a netlist from a seed: `python -m kerf.placement.examples.mesh FOLDER` writes it.

Sixteen elements of standard cells, each wired mostly within itself, to its neighbours by a bus, and row by row to two memories; ports
around the die. Not a working circuit, but wired like one.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kerf.placement.design import Design, Kind, Placement, Rows
from kerf.placement.formats import bookshelf

SIDE, CELLS, BUS, PORTS = 4, 128, 12, 64
ROW, MEMORY, DIE = 12.0, (84.0, 60.0), 492.0


@dataclass
class _Netlist:
    names: list[str] = field(default_factory=list)
    width: list[float] = field(default_factory=list)
    height: list[float] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    nets: list[list[tuple[int, float, float]]] = field(default_factory=list)

    def cell(self, name: str, width: float, height: float, kind: Kind) -> int:
        self.names.append(name)
        self.width.append(width)
        self.height.append(height)
        self.kind.append(kind)
        return len(self.names) - 1


def mesh(seed: int = 1) -> Design:
    """The example; the same seed gives the same chip."""
    rng, n = np.random.default_rng(seed), _Netlist()
    elements = [[_element(n, rng, row, column) for column in range(SIDE)] for row in range(SIDE)]
    for row in range(SIDE):
        for column in range(SIDE):
            if column + 1 < SIDE:
                _bus(n, rng, elements[row][column], elements[row][column + 1])
            if row + 1 < SIDE:
                _bus(n, rng, elements[row][column], elements[row + 1][column])
    memories = [n.cell(f"sram_{i}", *MEMORY, Kind.MACRO) for i in range(2 * SIDE)]
    for i, memory in enumerate(memories):
        _memory(n, rng, memory, elements[i // 2][(i % 2) * (SIDE - 1)])
    ports = [n.cell(f"port_{i}", 1.0, 1.0, Kind.PORT) for i in range(PORTS)]
    for i, port in enumerate(ports):
        n.nets.append(
            [(port, 0.0, 0.0), (memories[i % len(memories)], -MEMORY[0] / 2, float(i % 9) * 5 - 20)]
        )
    return _design(n, ports)


def _element(n: _Netlist, rng: np.random.Generator, row: int, column: int) -> list[int]:
    """Cells of one element, and the nets within: mostly between near indices, as synthesis leaves them."""
    first = len(n.names)
    for i in range(CELLS):
        n.cell(f"pe_{row}_{column}/u{i}", float(rng.choice([2, 3, 4, 5, 8])), ROW, Kind.CELL)
    for i in range(CELLS):
        fan = int(rng.choice([1, 1, 2, 2, 3, 5]))
        steps = np.unique(np.round(rng.laplace(0, 9, fan)).astype(int))
        sinks = {first + (i + int(s)) % CELLS for s in steps} - {first + i}
        sinks = sinks or {first + (i + 1) % CELLS}
        n.nets.append([(first + i, 0.5, 2.0), *((s, -0.5, -2.0) for s in sorted(sinks))])
    return list(range(first, first + CELLS))


def _bus(n: _Netlist, rng: np.random.Generator, one: list[int], two: list[int]) -> None:
    for i in range(BUS):
        a, b = int(rng.integers(CELLS)), int(rng.integers(CELLS))
        ends = [(one[a], 0.5, 0.0), (two[b], -0.5, 0.0)]
        n.nets.append(ends if i % 2 else ends[::-1])


def _memory(n: _Netlist, rng: np.random.Generator, memory: int, element: list[int]) -> None:
    """Its pins are on its right side: turned the right way, they face what they serve."""
    for i in range(3 * BUS):
        y = MEMORY[1] * ((i + 0.5) / (3 * BUS) - 0.5)
        n.nets.append([(memory, MEMORY[0] / 2, round(y, 2)), (element[int(rng.integers(CELLS))], 0.0, 0.0)])


def _design(n: _Netlist, ports: list[int]) -> Design:
    cells = len(n.names)
    x, y = np.full(cells, DIE / 2), np.full(cells, DIE / 2)
    around = (np.arange(PORTS) + 0.5) / PORTS * 4
    for port, at in zip(ports, around):
        share, low, high = (at % 1) * DIE, 0.5, DIE - 0.5
        x[port], y[port] = ((share, low), (high, share), (DIE - share, high), (low, DIE - share))[int(at)]
    kind = np.array(n.kind, np.int8)
    pins = [end for net in n.nets for end in net]
    return Design(
        name="mesh",
        format="bookshelf",
        unit="bookshelf",
        per_um=None,
        cell_names=n.names,
        width=np.array(n.width),
        height=np.array(n.height),
        kind=kind,
        fixed=kind == Kind.PORT,
        net_names=[f"n{i}" for i in range(len(n.nets))],
        net_start=np.concatenate([[0], np.cumsum([len(net) for net in n.nets])]).astype(np.int64),
        net_weight=np.ones(len(n.nets)),
        pin_cell=np.array([end[0] for end in pins], np.int64),
        pin_x=np.array([end[1] for end in pins]),
        pin_y=np.array([end[2] for end in pins]),
        die=(0.0, 0.0, DIE, DIE),
        rows=Rows.of([[0, ROW * i, ROW, 1, 1, DIE, 0] for i in range(int(DIE / ROW))]),
        initial=Placement(x, y, np.zeros(cells, np.int64)),
    )


if __name__ == "__main__":
    bookshelf.write(Path(sys.argv[1]) / "mesh.aux", mesh(), mesh().initial)
