"""Circuit Training: a clustered netlist (`netlist.pb.txt`) and placements of it (`.plc`), in micrometres, positions at centres.

A net is a driver (a port, or a pin of a macro) with its sinks; its weight is the driver's. The header of a .plc holds the canvas, the grid and
the routing supply; a .plc gives six significant digits, which is the tolerance of the checks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.design import Design, Floats, Grid, Kind, Placement, Rows
from kerf.placement.formats import protobuf, text
from kerf.placement.formats.protobuf import Node
from kerf.placement.formats.text import END, FormatError, number, plain, whole

KINDS = {"PORT": Kind.PORT, "MACRO": Kind.MACRO, "macro": Kind.SOFT, "STDCELL": Kind.CELL}
PINS = ("MACRO_PIN", "macro_pin")
GRID_CELLS = 10**7
METADATA = "__metadata__"


@dataclass
class Source:
    """The nodes as read; `of_cell` and `of_pin`, the node of each cell and of each pin that is one; the header's other facts."""

    nodes: list[Node]
    of_cell: list[int]
    pin_nodes: dict[int, int]
    facts: dict[str, str]


@dataclass(frozen=True)
class Header:
    grid: Grid
    facts: dict[str, str]


def read(path: Path, beside: Sequence[Path] = ()) -> Design:
    """A netlist, its canvas from the header of the .plc in `beside`, or of `initial.plc` in the same folder."""
    plc = _plc_of(path, beside)
    header = _header(plc)
    nodes = protobuf.read(path)
    graph = [i for i, node in enumerate(nodes) if node.name != METADATA]
    cells = [i for i in graph if _type(path, nodes[i]) in KINDS]
    cell_of = {nodes[i].name: k for k, i in enumerate(cells)}
    kind = np.array([KINDS[_type(path, nodes[i])] for i in cells], dtype=np.int8)
    places, pin_nodes = _pins(path, nodes, graph, cell_of)
    start, weight, ends, names = _nets(path, nodes, graph, places)
    grid = header.grid
    design = Design(
        name=path.resolve().parent.name,
        format="circuit_training",
        unit="um",
        per_um=1.0,
        cell_names=list(cell_of),
        width=_column(path, nodes, cells, "width"),
        height=_column(path, nodes, cells, "height"),
        kind=kind,
        fixed=kind == Kind.PORT,
        net_names=names,
        net_start=np.array(start, dtype=np.int64),
        net_weight=np.array(weight, dtype=np.float64),
        pin_cell=np.array([end[0] for end in ends], dtype=np.int64),
        pin_x=np.array([end[1] for end in ends], dtype=np.float64),
        pin_y=np.array([end[2] for end in ends], dtype=np.float64),
        die=(0.0, 0.0, grid.width, grid.height),
        rows=Rows.of([]),
        initial=_own_placement(path, nodes, cells),
        grid=grid,
        tolerance=10.0 ** (math.ceil(math.log10(max(grid.width, grid.height))) - 6),
        source=Source(nodes, cells, pin_nodes, header.facts),
    )
    initial, fixed = _places(plc, design)
    return replace(design, initial=initial, fixed=fixed)


def _plc_of(path: Path, beside: Sequence[Path]) -> Path:
    given = [p for p in beside if p.name.removesuffix(".gz").endswith(".plc")]
    try:
        return given[0] if given else text.present(path.with_name("initial.plc"))
    except KerfError:
        raise KerfError(
            f"{path}: the netlist does not say how large the canvas is: give a .plc placement, or put initial.plc beside it"
        ) from None


def _type(path: Path, node: Node) -> str:
    kind = node.value("type")
    if kind not in KINDS and kind not in PINS:
        known = ", ".join([*KINDS, *PINS])
        raise FormatError(path, node.line, f"node {node.name} to have a type among {known}", str(kind))
    return str(kind)


def _column(path: Path, nodes: list[Node], of: list[int], key: str) -> Floats:
    """One attribute of many nodes; 0 where a port lacks it."""
    return np.array([_attribute(path, nodes[i], key, nodes[i].value("type") == "PORT") for i in of])


def _attribute(path: Path, node: Node, key: str, optional: bool = False) -> float:
    value = node.value(key)
    if value is None and optional:
        return 0.0
    if value is None:
        raise FormatError(path, node.line, f"an attribute {key} in node {node.name}", "none")
    return number(path, node.line, value, f"{key} of node {node.name} to be a number")


Place = tuple[int, float, float]


def _pins(
    path: Path, nodes: list[Node], graph: list[int], cell_of: dict[str, int]
) -> tuple[dict[str, Place], dict[int, int]]:
    """Name -> (cell, offset) of everything a net may end at; node -> cell of every pin. Pins of soft macros sit at the centre."""
    places: dict[str, Place] = {}
    pin_nodes: dict[int, int] = {}
    for i in graph:
        node = nodes[i]
        if node.name in places:
            raise FormatError(path, node.line, "a name not used before", node.name)
        kind = node.value("type")
        owner = str(node.value("macro_name") or node.name.rpartition("/")[0]) if kind in PINS else node.name
        if owner not in cell_of:
            raise FormatError(path, node.line, f"the macro of pin {node.name}", owner)
        offset = (
            (_attribute(path, node, "x_offset"), _attribute(path, node, "y_offset"))
            if kind == PINS[0]
            else (0.0, 0.0)
        )
        places[node.name] = (cell_of[owner], *offset)
        if kind in PINS:
            pin_nodes[i] = cell_of[owner]
            for key in ("x", "y"):
                _attribute(path, node, key, optional=True)  # written again relative to its macro
    return places, pin_nodes


def _nets(
    path: Path, nodes: list[Node], graph: list[int], places: dict[str, Place]
) -> tuple[list[int], list[float], list[Place], list[str]]:
    start, weight, ends, names = [0], [], [], []
    for i in graph:
        node = nodes[i]
        if not node.inputs:
            continue
        for end in (node.name, *node.inputs):
            if end not in places:
                raise FormatError(path, node.line, f"the inputs of node {node.name} to be nodes", end)
            ends.append(places[end])
        names.append(node.name)
        start.append(len(ends))
        weighted = "weight" in node.attrs and node.value("type") in PINS
        weight.append(_attribute(path, node, "weight") if weighted else 1.0)
    return start, weight, ends, names


def _own_placement(path: Path, nodes: list[Node], cells: list[int]) -> Placement:
    """Where the netlist itself puts things."""
    codes = np.zeros(len(cells), dtype=np.int64)
    for k, i in enumerate(cells):
        word = nodes[i].value("orientation")
        if word and word != "-":
            codes[k] = _code(path, nodes[i].line, word)
    return Placement(_column(path, nodes, cells, "x"), _column(path, nodes, cells, "y"), codes)


def _code(path: Path, line: int, word: str) -> int:
    if word not in orient.CODES:
        raise FormatError(path, line, "an orientation, one of " + " ".join(orient.NAMES), word)
    return orient.CODES[word]


def read_placement(path: Path, design: Design) -> Placement:
    """A .plc of this netlist."""
    return _places(path, design)[0]


FACTS = {
    "Columns": r"^Columns\s*:\s*(\S+)\s+Rows\s*:\s*(\S+)",
    "Width": r"^Width\s*:\s*(\S+)\s+Height\s*:\s*(\S+)",
    "Routes per micron": r"^Routes per micron, hor\s*:\s*(\S+)\s+ver\s*:\s*(\S+)",
    "Routes used by macros": r"^Routes used by macros, hor\s*:\s*(\S+)\s+ver\s*:\s*(\S+)",
    "Smoothing factor": r"^Smoothing factor\s*:\s*(\S+)()",
}
KEPT = (
    "Source input file(s)",
    "Project",
    "Block",
    "Area",
    "Area (stdcell+macros)",
    "Overlap threshold",
    "Use incremental cost",
)


def _header(path: Path) -> Header:
    """The grid and the routing supply that a .plc's comments give."""
    found: dict[str, tuple[int, str, str]] = {}
    facts: dict[str, str] = {}
    for line, content in enumerate(text.read(path).splitlines(), 1):
        if not content.startswith("#"):
            continue
        content = content[1:].strip()
        for key, pattern in FACTS.items():
            match = re.match(pattern, content)
            if match:
                found[key] = (line, match[1], match[2])
        name, colon, value = content.partition(":")
        if colon and name.strip() in KEPT:
            facts[name.strip()] = value.strip()
    for key in FACTS:
        if key not in found:
            raise FormatError(path, 1, f"a header with `# {key} : ...`", "none")
    return Header(_grid(path, found), facts)


def _grid(path: Path, found: dict[str, tuple[int, str, str]]) -> Grid:
    def counts(key: str) -> tuple[int, int]:
        line, one, two = found[key]
        values = whole(path, line, one, f"{key}: a count"), whole(path, line, two or "0", f"{key}: a count")
        if key == "Columns" and not 1 <= values[0] * values[1] <= GRID_CELLS:
            raise FormatError(path, line, f"{key}: a grid of 1 to {GRID_CELLS} cells", f"{one} {two}")
        return values

    def lengths(key: str) -> tuple[float, float]:
        line, one, two = found[key]
        values = number(path, line, one, f"{key}: a number"), number(path, line, two, f"{key}: a number")
        if min(values) < (0 if key == "Routes used by macros" else text.SMALLEST):
            raise FormatError(path, line, f"{key}: positive numbers", f"{one} {two}")
        return values

    return Grid(
        *counts("Columns"),
        *lengths("Width"),
        *lengths("Routes per micron"),
        *lengths("Routes used by macros"),
        counts("Smoothing factor")[0],
    )


def _places(path: Path, design: Design) -> tuple[Placement, np.ndarray]:
    """Lines `node x y orientation fixed`, one for each port and macro; nodes are numbered without the metadata."""
    cell_at = _numbering(design)
    placed, fixed = design.initial.copy(), design.fixed.copy()
    seen: set[int] = set()
    for line, words in text.lines(text.read(path)):
        if len(words) != 5:
            raise FormatError(path, line, "`NODE X Y ORIENTATION FIXED`", " ".join(words))
        node = whole(path, line, words[0], "the number of a node")
        if node not in cell_at or node in seen:
            raise FormatError(path, line, "the number of a port or macro of the netlist, once", words[0])
        seen.add(node)
        cell = cell_at[node]
        placed.x[cell] = number(path, line, words[1], "an x")
        placed.y[cell] = number(path, line, words[2], "a y")
        if words[3] != "-":
            placed.orient[cell] = _code(path, line, words[3])
        if words[4] not in ("0", "1"):
            raise FormatError(path, line, "0 or 1 (fixed)", words[4])
        fixed[cell] = words[4] == "1" or design.kind[cell] == Kind.PORT
    if len(seen) != design.cells:
        raise FormatError(
            path, 0, f"a place for each of {design.cells} ports and macros before {END}", str(len(seen))
        )
    return placed, fixed


def _numbering(design: Design) -> dict[int, int]:
    """A node's number in a .plc -> its cell."""
    if not isinstance(design.source, Source):
        return {k: k for k in range(design.cells)}
    nodes = design.source.nodes
    skipped = np.cumsum([node.name == METADATA for node in nodes])
    return {int(i - skipped[i]): k for k, i in enumerate(design.source.of_cell)}


def write_placement(path: Path, design: Design, placement: Placement) -> None:
    """A .plc with the canvas in its header."""
    grid = design.grid
    if grid is None:
        raise KerfError(f"{design.name}: a .plc needs a canvas with a grid")
    facts = design.source.facts if isinstance(design.source, Source) else {}
    lines = ["# Placement file for Circuit Training", *(f"# {key} : {value}" for key, value in facts.items())]
    lines += [
        f"# Columns : {grid.columns}  Rows : {grid.rows}",
        f"# Width : {plain(grid.width)}  Height : {plain(grid.height)}",
        f"# Routes per micron, hor : {plain(grid.routes_h)}  ver : {plain(grid.routes_v)}",
        f"# Routes used by macros, hor : {plain(grid.used_h)}  ver : {plain(grid.used_v)}",
        f"# Smoothing factor : {grid.smooth}",
        *(f"# {label} : {count}" for label, count in _counts(design)),
        "#",
        "# node_index x y orientation fixed",
    ]
    for node, cell in _numbering(design).items():
        facing = "-" if design.kind[cell] == Kind.PORT else orient.NAMES[placement.orient[cell]]
        x, y = plain(placement.x[cell]), plain(placement.y[cell])
        lines.append(f"{node} {x} {y} {facing} {int(design.fixed[cell])}")
    text.write(path, "\n".join(lines) + "\n")


def _counts(design: Design) -> list[tuple[str, int]]:
    """The counts of nodes that other readers of the format check."""
    hard, soft, ports = (int((design.kind == k).sum()) for k in (Kind.MACRO, Kind.SOFT, Kind.PORT))
    pins = list(design.source.pin_nodes.values()) if isinstance(design.source, Source) else []
    owned = design.kind[pins] if pins else np.empty(0)
    hard_pins, soft_pins = int((owned == Kind.MACRO).sum()), int((owned == Kind.SOFT).sum())
    return [
        ("HARD_MACROs", hard),
        ("HARD_MACRO_PINs", hard_pins),
        ("MACROs", hard + soft),
        ("MACRO_PINs", hard_pins + soft_pins),
        ("PORTs", ports),
        ("SOFT_MACROs", soft),
        ("SOFT_MACRO_PINs", soft_pins),
        ("STDCELLs", int((design.kind == Kind.CELL).sum())),
    ]


def write(path: Path, design: Design, placement: Placement) -> None:
    """The netlist with its nodes where the placement puts them, and `initial.plc` beside it."""
    if not isinstance(design.source, Source):
        raise KerfError(
            f"{design.name}: only a design read from Circuit Training's format can be written in it"
        )
    nodes = [replace(node, attrs=dict(node.attrs)) for node in design.source.nodes]
    for cell, i in enumerate(design.source.of_cell):
        _put(nodes[i], placement.x[cell], placement.y[cell])
        if "orientation" in nodes[i].attrs:
            nodes[i].attrs["orientation"] = ("placeholder", orient.NAMES[placement.orient[cell]])
    for i, cell in design.source.pin_nodes.items():
        dx, dy = 0.0, 0.0
        if design.kind[cell] == Kind.MACRO:
            offset = [float(nodes[i].value(key) or 0) for key in ("x_offset", "y_offset")]
            dx, dy = orient.MATRICES[placement.orient[cell]] @ offset
        _put(nodes[i], placement.x[cell] + dx, placement.y[cell] + dy)
    protobuf.write(path, nodes)
    write_placement(path.with_name("initial.plc"), design, placement)


def _put(node: Node, x: float, y: float) -> None:
    for key, value in (("x", x), ("y", y)):
        if key in node.attrs and float(node.attrs[key][1]) != value:
            node.attrs[key] = ("f", plain(value))
