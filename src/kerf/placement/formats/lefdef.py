"""DEF 5.8 with its LEF: components, pins, nets, rows, hard placement blockages (fixed macros here); lengths in the DEF's database units.

A DEF is read statement by statement and written by changing the places of its components in the text it came from, so that tracks, vias,
special nets, routing and everything else that a placer does not read survive byte for byte. Supply nets (USE POWER or GROUND) are no
nets here: they run in rails. Nets of SPECIALNETS neither. A repeated net name is accepted, each statement being a net: published files,
converted from formats where nets have no names, have them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.design import Design, Kind, Placement, Rows
from kerf.placement.formats import def_fillers, lef, text
from kerf.placement.formats.def_statements import statements
from kerf.placement.formats.lef import Library, Master
from kerf.placement.formats.polygon import outside
from kerf.placement.formats.text import FormatError, number

PLACED = re.compile(
    r"\+\s+(PLACED|FIXED|COVER|SOFTFIXED)\s+\(\s*(\S+)\s+(\S+)\s*\)\s+(\S+)|\+\s+UNPLACED(?!\S)"
)
JOINED = re.compile(r"\(\s*(\S+)\s+(\S+)\s*(?:\+\s*SYNTHESIZED\s*)?\)")
OPTION = re.compile(r"\+\s+(?!SYNTHESIZED)")
RECT = re.compile(r"RECT\s+\(\s*(\S+)\s+(\S+)\s*\)\s+\(\s*(\S+)\s+(\S+)\s*\)")
LAYER_BOX = re.compile(r"\+\s+LAYER\s+\S+[^(+]*\(\s*(\S+)\s+(\S+)\s*\)\s+\(\s*(\S+)\s+(\S+)\s*\)")


@dataclass
class Source:
    """The text, and for each component the stretch of it that says where it is (empty, before the `;`, where nothing does). `added`:
    (cell, macro) of components that the text lacks. `fillers`: the statements of components that are no cells. `spacers`: the macros
    whose instances may be such."""

    content: str
    places: list[tuple[int, int]]
    added: list[tuple[int, str]] = field(default_factory=list)
    fillers: dict[str, tuple[int, int]] = field(default_factory=dict)
    spacers: frozenset[str] = frozenset()


@dataclass
class _Def:
    """What is read, statement by statement, before the arrays are made."""

    path: Path
    content: str
    library: Library
    name: str = ""
    units: int = 0
    die: tuple[float, float, float, float] | None = None
    rows: list[list[float]] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)
    cells: list[tuple[float, float, float, float, int, int, bool]] = field(default_factory=list)
    """width, height, x, y, orientation, kind, fixed"""
    masters: list[Master | None] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    blockages: list[tuple[float, float, float, float]] = field(default_factory=list)
    driving: set[str] = field(default_factory=set)
    places: list[tuple[int, int]] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)
    """where each component's statement begins"""
    fillers: dict[str, tuple[int, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    nets: list[str] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    start: list[int] = field(default_factory=lambda: [0])
    pins: list[tuple[int, float, float]] = field(default_factory=list)

    def refuse(self, at: int, expected: str, found: str) -> FormatError:
        return FormatError(self.path, self.content.count("\n", 0, at) + 1, expected, found)

    def number(self, at: int, word: str, what: str) -> float:
        try:
            return number(self.path, 0, word, what)
        except FormatError as error:
            raise self.refuse(at, error.expected, word) from None

    def size(self, at: int, *sides: float) -> list[int]:
        """A width and a height of the LEF in database units."""
        if not self.units:
            raise self.refuse(at, "UNITS DISTANCE MICRONS before this", self.content[at : at + 40].strip())
        sizes = [round(side * self.units) for side in sides]
        if min(sizes) <= 0:
            raise self.refuse(at, "a size in the LEF of half a database unit or more", f"{min(sides):g} um")
        return sizes


def read(path: Path, beside: Sequence[Path] = ()) -> Design:
    """A DEF with the LEF files given in `beside`; without any, those in its own folder: of the same name, or all."""
    found = _scan(path, lef.read(lefs_of(path, beside)))
    if found.die is None or not found.units:
        raise FormatError(path, 1, "UNITS and DIEAREA", "a file without")
    _leave_out_fillers(found)
    return _design(found, found.die)


def lefs_of(path: Path, beside: Sequence[Path]) -> list[Path]:
    """The LEF files in `beside`; without any, those in the same folder: of the same name, or all."""
    given = [p for p in beside if p.name.removesuffix(".gz").endswith(".lef")]
    if given:
        return given
    near = sorted(p for p in path.parent.iterdir() if p.name.removesuffix(".gz").endswith(".lef"))
    stem = path.name.removesuffix(".gz").rpartition(".")[0]
    same = [p for p in near if p.name.removesuffix(".gz") == stem + ".lef"]
    if not near:
        raise KerfError(f"{path}: a DEF needs its LEF: name it with --lef, or put it in the same folder")
    return same or near


def _scan(path: Path, library: Library) -> _Def:
    content = text.read(path)
    d = _Def(path, content, library)
    for section, words, at in statements(path, content):
        if section == "COMPONENTS":
            _component(d, words, at)
        elif section == "PINS":
            _port(d, words, at)
        elif section == "NETS":
            _net(d, words, at)
        elif section == "BLOCKAGES":
            _blockage(d, words, at)
        elif not section:
            _top(d, words, at)
    return d


def _top(d: _Def, statement: str, at: int) -> None:
    words = statement.replace("(", " ").replace(")", " ").split()
    if not words:
        raise d.refuse(at, "a statement", statement[:40])
    if words[0] == "DESIGN" and len(words) == 2:
        d.name = words[1]
    elif words[0] == "UNITS":
        units = int(d.number(at, words[-1], "UNITS DISTANCE MICRONS and a number"))
        if units <= 0 or d.units not in (0, units):
            raise d.refuse(at, "a positive number of units in a micrometre, once", words[-1])
        d.units = units
    elif words[0] == "DIEAREA":
        values = [d.number(at, w, "coordinates of the die") for w in words[1:]]
        if len(values) < 4 or len(values) % 2:
            raise d.refuse(at, "two points or more", statement[:40])
        d.die = min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
        if len(values) > 4:
            _cut_off(d, at, list(zip(values[::2], values[1::2])))
    elif words[0] == "ROW":
        d.rows.append(_row(d, words, at))


def _cut_off(d: _Def, at: int, corners: list[tuple[float, float]]) -> None:
    """What of the box around a polygonal die lies outside of it is as good as blocked."""
    found = outside(corners)
    if found is None:
        raise d.refuse(at, "corners of a die with horizontal and vertical sides", str(corners)[:40])
    d.blockages += found


def _row(d: _Def, words: list[str], at: int) -> list[float]:
    """`ROW name site x y orient [DO n BY 1 [STEP dx dy]]`"""
    if len(words) not in (6, 10, 13) or words[5] not in orient.CODES:
        raise d.refuse(at, "`ROW NAME SITE X Y ORIENTATION DO N BY 1 STEP DX DY`", " ".join(words)[:40])
    site = d.library.sites.get(words[2])
    if site is None:
        raise d.refuse(at, "a SITE that the LEF defines", words[2])
    x, y = (d.number(at, w, "a coordinate") for w in words[3:5])
    sites = d.number(at, words[7], "a number of sites") if len(words) > 6 else 1
    if not 1 <= sites <= text.MOST:
        raise d.refuse(at, "one site or more", words[7])
    width, height = d.size(at, *site)
    step = d.number(at, words[11], "a step") if len(words) == 13 else width
    if len(words) > 6 and words[9] != "1":
        raise d.refuse(at, "a horizontal row (BY 1)", "BY " + words[9])
    return [x, y, height, width, abs(step) or width, sites, orient.CODES[words[5]]]


def _component(d: _Def, statement: str, at: int) -> None:
    words = statement.split(None, 3)
    if len(words) < 3:
        raise d.refuse(at, "`- NAME MASTER`", statement[:40])
    name, master = words[1], d.library.masters.get(words[2])
    if master is None:
        raise d.refuse(at, f"a MACRO of the LEF for component {name}", words[2])
    if name in d.index:
        raise d.refuse(at, "a name not used before", name)
    place = PLACED.search(statement)
    d.places.append((at + place.start(), at + place.end()) if place else (at + len(statement),) * 2)
    width, height = d.size(at, master.width, master.height)
    x, y, code, fixed = _placed(d, place, at, width, height)
    d.index[name] = len(d.cells)
    d.masters.append(master)
    d.begun.append(at)
    d.cells.append((width, height, x, y, code, kind_of(master), fixed))


def kind_of(master: Master) -> int:
    """What a macro's CLASS makes of its instances."""
    words = master.kind.split() or ["CORE"]
    if words[0] == "COVER":
        return Kind.PORT
    return Kind.CELL if words[0] in ("CORE", "ENDCAP") else Kind.MACRO


def _placed(
    d: _Def, place: re.Match[str] | None, at: int, width: float, height: float
) -> tuple[float, float, int, bool]:
    """Centre, orientation, fixed, from a placement clause that gives the lower left corner; NaN without one."""
    if place is None or place[1] is None:
        return np.nan, np.nan, orient.N, False
    if place[4] not in orient.CODES:
        raise d.refuse(at, "an orientation, one of " + " ".join(orient.NAMES), place[4])
    code = orient.CODES[place[4]]
    x, y = (d.number(at, place[i], "a coordinate") for i in (2, 3))
    w, h = (height, width) if orient.TURNED[code] else (width, height)
    return x + w / 2, y + h / 2, code, place[1] in ("FIXED", "COVER")


def _port(d: _Def, statement: str, at: int) -> None:
    """A pin of the design: a port whose centre is that of its first shape."""
    words = statement.split(None, 2)
    if len(words) < 3:
        raise d.refuse(at, "`- NAME + NET NET`", statement[:40])
    name = words[1]
    if name in d.ports:
        raise d.refuse(at, "a name not used before", name)
    box = LAYER_BOX.search(statement)
    values = [d.number(at, w, "a coordinate") for w in box.groups()] if box else [0.0] * 4
    place = PLACED.search(statement)
    x, y, code, _ = _placed(d, place, at, 0.0, 0.0)
    offset = orient.MATRICES[code] @ np.array([(values[0] + values[2]) / 2, (values[1] + values[3]) / 2])
    if re.search(r"\+\s+DIRECTION\s+INPUT", statement):
        d.driving.add(name)
    d.ports[name] = len(d.cells)
    d.masters.append(None)
    size = abs(values[2] - values[0]), abs(values[3] - values[1])
    d.cells.append((*size, x + offset[0], y + offset[1], code, Kind.PORT, True))


def _blockage(d: _Def, statement: str, at: int) -> None:
    """A hard placement blockage is an obstacle; soft and partial ones, and those of layers, forbid no place."""
    if not re.match(r"-\s+PLACEMENT(?!\S)", statement) or re.search(r"\+\s+(SOFT|PARTIAL)", statement):
        return
    for found in RECT.finditer(statement):
        x0, y0, x1, y1 = (d.number(at, w, "a coordinate") for w in found.groups())
        d.blockages.append((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))


def _net(d: _Def, statement: str, at: int) -> None:
    joined, options = _split(statement)
    if _supply(options):
        return
    name = (joined.split(None, 2) + ["", ""])[1]
    if not name:
        raise d.refuse(at, "the name of a net", statement[:40])
    ends = JOINED.findall(joined)
    if joined.count("(") - name.count("(") != len(ends):
        raise d.refuse(at, f"`( COMPONENT PIN )` in net {name}", joined[:60])
    weight = re.search(r"\+\s+WEIGHT\s+(\S+)", options)
    d.nets.append(name)
    d.weight.append(d.number(at, weight[1], "a weight") if weight else 1.0)
    pins = [_end(d, at, *end) for end in ends]
    drivers = [i for i, pin in enumerate(pins) if pin[3]]
    if drivers:
        pins.insert(0, pins.pop(drivers[0]))
    d.pins += [pin[:3] for pin in pins]
    d.start.append(len(d.pins))


def pin_nets(design: Design) -> dict[str, int]:
    """`component/pin`, or the name of a port -> its net, from the text of a DEF, the only format whose designs keep names of pins.

    Raises KerfError for any other design."""
    source = design.source
    if design.format != "lefdef" or not isinstance(source, Source):
        raise KerfError(f"{design.name}: names of pins are known only of a DEF: name the nets instead")
    found: dict[str, int] = {}
    net = 0
    for section, statement, _ in statements(Path(design.name), source.content):
        if section != "NETS":
            continue
        joined, options = _split(statement)
        if _supply(options):
            continue
        for component, pin in JOINED.findall(joined):
            found[pin if component == "PIN" else f"{component}/{pin}"] = net
        net += 1
    return found


def _split(statement: str) -> tuple[str, str]:
    """A net's connections and its options."""
    option = OPTION.search(statement)
    return (statement[: option.start()], statement[option.start() :]) if option else (statement, "")


def _supply(options: str) -> bool:
    return bool(re.search(r"\+\s+USE\s+(POWER|GROUND)(?!\S)", options))


def _end(d: _Def, at: int, component: str, pin: str) -> tuple[int, float, float, bool]:
    """(cell, offset from its centre, whether it drives) of `( component pin )` or `( PIN name )`."""
    if component == "PIN":
        port = d.ports.get(pin)
        if port is None:
            raise d.refuse(at, "a pin of the PINS section", pin)
        return port, 0.0, 0.0, pin in d.driving
    cell = d.index.get(component)
    master = d.masters[cell] if cell is not None else None
    if cell is None or master is None:
        raise d.refuse(at, "a component of the COMPONENTS section", component)
    if pin not in master.pins:
        raise d.refuse(at, f"a pin of macro {master.name} at component {component}", pin)
    return cell, *offset(master, pin, d.units), pin in master.drivers


def offset(master: Master, pin: str, units: float) -> tuple[float, float]:
    """From the macro's centre to its pin, in database units, without the noise of decimal fractions in binary."""
    x, y = master.pins[pin]
    return round((x - master.width / 2) * units, 6), round((y - master.height / 2) * units, 6)


def _leave_out_fillers(d: _Def) -> None:
    """Take what `def_fillers` calls a filler out of everything read; cells are numbered anew."""
    joined, fixed = {pin[0] for pin in d.pins}, 6
    gone = {
        i: name
        for name, i in d.index.items()
        if def_fillers.is_spacer(d.masters[i]) and not d.cells[i][fixed] and i not in joined
    }
    if not gone:
        return
    d.notes.append(def_fillers.note([master.name for i in gone if (master := d.masters[i])]))
    d.fillers = {name: def_fillers.stretch(d.content, d.begun[i]) for i, name in gone.items()}
    kept = [i for i in range(len(d.cells)) if i not in gone]
    number = dict(zip(kept, range(len(kept))))
    d.index = {name: number[i] for name, i in d.index.items() if i in number}
    d.ports = {name: number[i] for name, i in d.ports.items()}
    d.places = [place for i, place in enumerate(d.places) if i in number]
    d.cells = [d.cells[i] for i in kept]
    d.pins = [(number[cell], x, y) for cell, x, y in d.pins]


def _design(d: _Def, die: tuple[float, float, float, float]) -> Design:
    obstacles = [
        (x1 - x0, y1 - y0, (x0 + x1) / 2, (y0 + y1) / 2, orient.N, Kind.MACRO, True)
        for x0, y0, x1, y1 in d.blockages
    ]
    table = np.array(d.cells + obstacles, dtype=np.float64).reshape(-1, 7).T
    pins = np.array(d.pins, dtype=np.float64).reshape(-1, 3).T
    return Design(
        name=d.name or d.path.name,
        format="lefdef",
        unit="dbu",
        per_um=float(d.units),
        cell_names=[*d.index, *d.ports, *(f"__blockage_{i}" for i in range(len(obstacles)))],
        width=table[0].copy(),
        height=table[1].copy(),
        kind=table[5].astype(np.int8),
        fixed=table[6].astype(np.bool_),
        net_names=d.nets,
        net_start=np.array(d.start, dtype=np.int64),
        net_weight=np.array(d.weight, dtype=np.float64),
        pin_cell=pins[0].astype(np.int64),
        pin_x=pins[1].copy(),
        pin_y=pins[2].copy(),
        die=die,
        rows=Rows.of(d.rows),
        initial=Placement(table[2].copy(), table[3].copy(), table[4].astype(np.int64)),
        tolerance=0.5,
        source=Source(d.content, d.places, fillers=d.fillers, spacers=_spacers(d.library)),
        notes=tuple(d.notes),
    )


def _spacers(library: Library) -> frozenset[str]:
    return frozenset(name for name, master in library.masters.items() if def_fillers.is_spacer(master))


def read_placement(path: Path, design: Design) -> Placement:
    """The places of the same components in another DEF of the design, whatever its database unit; fillers are passed over."""
    spacers = design.source.spacers if isinstance(design.source, Source) else ()
    index = {name: i for i, name in enumerate(design.cell_names)}
    placed = design.initial.copy()
    nowhere = _Def(path, text.read(path), Library())
    for section, statement, at in statements(path, nowhere.content):
        if not section and statement.startswith("UNITS"):
            _top(nowhere, statement, at)
        if section != "COMPONENTS":
            continue
        name, master = (statement.split(None, 3) + ["", "", ""])[1:3]
        if name not in index and master in spacers:
            continue
        if name not in index:
            raise nowhere.refuse(at, "a component of the design", name)
        cell = index[name]
        place = PLACED.search(statement)
        scale = (design.per_um or 1.0) / (nowhere.units or 1)
        size = design.width[cell] / scale, design.height[cell] / scale
        x, y, code, _ = _placed(nowhere, place, at, *size)
        placed.x[cell], placed.y[cell], placed.orient[cell] = x * scale, y * scale, code
    return placed
