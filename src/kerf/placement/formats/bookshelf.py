"""Bookshelf: `.aux` naming `.nodes`, `.nets`, `.pl`, and where present `.scl`, `.wts`, `.shapes`.

The format is the UCLA/UMich one with ISPD's additions (`terminal_NI`, `/FIXED_NI`, `.shapes`); pin offsets are from the cell's centre, positions
from its lower left corner. A terminal that is `terminal_NI`, or smaller than a row in both directions (a pad), becomes a PORT: it blocks
nothing. A node taller than a row is a MACRO.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kerf.placement import orient
from kerf.placement.design import Design, Floats, Kind, Placement, Rows
from kerf.placement.formats import text
from kerf.placement.formats.text import END, FormatError, number, plain, whole

Line = tuple[int, list[str]]
ROW_ORIENT = {"0": "N", "1": "FS"}


@dataclass
class Source:
    """What only the format itself needs again. terminals: node -> its word; pl_marks: node -> /FIXED or /FIXED_NI; directions and
    pin_names are by pin; weights: lines of .wts that name no net; row_extra: by row, its symmetry and original orientation word."""

    terminals: dict[int, str] = field(default_factory=dict)
    pl_marks: dict[int, str] = field(default_factory=dict)
    directions: list[str] = field(default_factory=list)
    pin_names: dict[int, str] = field(default_factory=dict)
    weighted: bool = False
    other_weights: list[tuple[str, str]] = field(default_factory=list)
    row_extra: list[tuple[str, str, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Nets:
    names: list[str]
    start: list[int]
    cells: list[int]
    x: list[float]
    y: list[float]


def read(aux: Path) -> Design:
    """Read the design that an .aux file names; its files may be gzip-compressed beside it."""
    files = _files(aux)
    source = Source()
    names, index, width, height = _nodes(files["nodes"], source)
    nets = _nets(files["nets"], index, source)
    rows = _scl(files["scl"], source) if "scl" in files else Rows.of([])
    rects = _shapes(files["shapes"], index) if "shapes" in files else {}
    corner, codes, marked = _pl(files["pl"], index, source)
    weight = _wts(files["wts"], nets.names, index, source) if "wts" in files else np.ones(len(nets.names))
    turned = orient.TURNED[codes]
    x = corner[:, 0] + np.where(turned, height, width) / 2
    y = corner[:, 1] + np.where(turned, width, height) / 2
    initial = Placement(x, y, codes)
    kind = _kinds(width, height, rows, source)
    fixed = marked.copy()
    fixed[list(source.terminals)] = True
    return Design(
        name=aux.name.removesuffix(".gz").removesuffix(".aux"),
        format="bookshelf",
        unit="bookshelf",
        per_um=None,
        cell_names=names,
        width=width,
        height=height,
        kind=kind,
        fixed=fixed,
        net_names=nets.names,
        net_start=np.array(nets.start, dtype=np.int64),
        net_weight=weight,
        pin_cell=np.array(nets.cells, dtype=np.int64),
        pin_x=np.array(nets.x, dtype=np.float64),
        pin_y=np.array(nets.y, dtype=np.float64),
        die=_die(aux, rows, initial, width, height),
        rows=rows,
        initial=initial,
        tolerance=1e-6,
        rects=rects,
        source=source,
    )


def read_placement(path: Path, design: Design) -> Placement:
    """A .pl file on top of the design: nodes it does not name keep their place."""
    index = {name: i for i, name in enumerate(design.cell_names)}
    corner, codes, _ = _pl(path, index, Source())
    there = np.isfinite(corner[:, 0])
    codes = np.where(there, codes, design.initial.orient)
    w, h = design.extent(Placement(corner[:, 0], corner[:, 1], codes))
    x = np.where(there, corner[:, 0] + w / 2, design.initial.x)
    y = np.where(there, corner[:, 1] + h / 2, design.initial.y)
    return Placement(x, y, codes)


def _files(aux: Path) -> dict[str, Path]:
    """Extension -> file, from lines such as `RowBasedPlacement : a.nodes a.nets ...`."""
    found: dict[str, Path] = {}
    for line, words in text.lines(text.read(aux)):
        if ":" not in words:
            raise FormatError(aux, line, "`RowBasedPlacement : FILES`", " ".join(words))
        for name in words[words.index(":") + 1 :]:
            path = aux.parent / name
            found[path.suffix.lstrip(".")] = text.present(path)
    for needed in ("nodes", "nets", "pl"):
        if needed not in found:
            raise FormatError(aux, 1, f"a .{needed} file among those named", ", ".join(found) or "none")
    return found


def _counted(path: Path, words: list[str], line: int) -> int | None:
    """The value of `NumNodes : 12`, None where the line is something else."""
    if not words[0].startswith("Num") or ":" not in words[0] + "".join(words[1:2]):
        return None
    return whole(path, line, words[-1].lstrip(":"), f"a number after {words[0]}")


def _body(path: Path) -> Iterator[Line]:
    """The lines after the heading (`UCLA nodes 1.0`, `shapes 1.0`)."""
    every = text.lines(text.read(path))
    for entry in every:
        if entry[1][0] not in ("UCLA", "shapes"):
            yield entry
        break
    yield from every


def _nodes(path: Path, source: Source) -> tuple[list[str], dict[str, int], Floats, Floats]:
    index: dict[str, int] = {}
    sizes: list[tuple[float, float]] = []
    promised: dict[str, int] = {}
    for line, words in _body(path):
        count = _counted(path, words, line)
        if count is not None:
            promised[words[0].rstrip(":")] = count
            continue
        if len(words) not in (3, 4) or (len(words) == 4 and words[3] not in ("terminal", "terminal_NI")):
            raise FormatError(path, line, "`NAME WIDTH HEIGHT [terminal|terminal_NI]`", " ".join(words))
        if words[0] in index:
            raise FormatError(path, line, "a name not used before", words[0])
        if len(words) == 4:
            source.terminals[len(index)] = words[3]
        index[words[0]] = len(index)
        sizes.append((number(path, line, words[1], "a width"), number(path, line, words[2], "a height")))
        if min(sizes[-1]) < 0:
            raise FormatError(path, line, "a size that is not negative", " ".join(words))
    if promised.get("NumNodes", len(index)) != len(index):
        raise FormatError(path, line, f"{promised['NumNodes']} nodes before {END}", f"{len(index)} nodes")
    table = np.array(sizes, dtype=np.float64).reshape(-1, 2)
    return list(index), index, table[:, 0].copy(), table[:, 1].copy()


def _nets(path: Path, index: dict[str, int], source: Source) -> Nets:
    nets = Nets([], [0], [], [], [])
    promised: dict[str, int] = {}
    left = line = 0
    for line, words in _body(path):
        if words[0].startswith("NetDegree"):
            if left:
                raise FormatError(path, line, f"{left} more pins of net {nets.names[-1]}", " ".join(words))
            left = _degree(path, line, words, nets)
        elif (count := _counted(path, words, line)) is not None:
            promised[words[0].rstrip(":")] = count
        elif not left:
            raise FormatError(path, line, "`NetDegree : COUNT NAME`", " ".join(words))
        else:
            _pin(path, line, words, index, nets, source)
            left -= 1
            nets.start[-1] += 1
    if left:
        raise FormatError(path, line, f"{left} more pins of net {nets.names[-1]}", END)
    for key, have in (("NumNets", len(nets.names)), ("NumPins", len(nets.cells))):
        if promised.get(key, have) != have:
            raise FormatError(path, line, f"{key} {promised[key]} before {END}", str(have))
    return nets


def _degree(path: Path, line: int, words: list[str], nets: Nets) -> int:
    """Open a net; returns how many pins follow."""
    rest = " ".join(words)[len("NetDegree") :].replace(":", " ", 1).split()
    if len(rest) not in (1, 2):
        raise FormatError(path, line, "`NetDegree : COUNT NAME`", " ".join(words))
    nets.names.append(rest[1] if len(rest) == 2 else f"net{len(nets.names)}")
    nets.start.append(nets.start[-1])
    return whole(path, line, rest[0], "a number of pins")


def _pin(path: Path, line: int, words: list[str], index: dict[str, int], nets: Nets, source: Source) -> None:
    """`NODE [I|O|B] [: X Y] [: NAME]`"""
    cell = index.get(words[0])
    if cell is None:
        raise FormatError(path, line, "the name of a node", words[0])
    direction = words[1] if len(words) > 1 and words[1] != ":" else ""
    rest = words[2:] if direction else words[1:]
    if direction not in ("", "I", "O", "B") or (rest and (rest[0] != ":" or len(rest) not in (3, 4, 5))):
        raise FormatError(path, line, "`NODE I|O|B : X Y`", " ".join(words))
    if len(rest) > 3:
        source.pin_names[len(nets.cells)] = rest[-1]
    nets.cells.append(cell)
    nets.x.append(number(path, line, rest[1], "an x offset") if rest else 0.0)
    nets.y.append(number(path, line, rest[2], "a y offset") if rest else 0.0)
    source.directions.append(direction)


def _pl(path: Path, index: dict[str, int], source: Source) -> tuple[Floats, np.ndarray, np.ndarray]:
    """Lower left corners (C, 2), NaN where the file names no place; orientation codes; which are marked fixed."""
    corner = np.full((len(index), 2), np.nan)
    codes = np.zeros(len(index), dtype=np.int64)
    marked = np.zeros(len(index), dtype=np.bool_)
    for line, words in _body(path):
        cell = index.get(words[0])
        if cell is None:
            raise FormatError(path, line, "the name of a node", words[0])
        if len(words) < 3:
            raise FormatError(path, line, "`NODE X Y : ORIENTATION`", " ".join(words))
        corner[cell] = (number(path, line, words[1], "an x"), number(path, line, words[2], "a y"))
        rest = [w for w in words[3:] if w != ":"]
        codes[cell] = _code(path, line, rest[0]) if rest else orient.N
        if len(rest) > 1:
            if rest[1] not in ("/FIXED", "/FIXED_NI"):
                raise FormatError(path, line, "/FIXED or /FIXED_NI", rest[1])
            source.pl_marks[cell] = rest[1]
            marked[cell] = True
    return corner, codes, marked


def _code(path: Path, line: int, word: str) -> int:
    if word not in orient.CODES:
        raise FormatError(path, line, "an orientation, one of " + " ".join(orient.NAMES), word)
    return orient.CODES[word]


def _wts(path: Path, names: list[str], index: dict[str, int], source: Source) -> Floats:
    """Weights of nets; lines that name a node are kept for writing and mean nothing here (ICCAD04's list areas)."""
    net_index = {name: i for i, name in enumerate(names)}
    weight = np.ones(len(names))
    for line, words in _body(path):
        if len(words) != 2:
            raise FormatError(path, line, "`NET WEIGHT`", " ".join(words))
        value = number(path, line, words[1], "a weight")
        if words[0] in net_index:
            weight[net_index[words[0]]] = value
            source.weighted = True
        elif words[0] in index:
            source.other_weights.append((words[0], words[1]))
        else:
            raise FormatError(path, line, "the name of a net or node", words[0])
    return weight


def _scl(path: Path, source: Source) -> Rows:
    table: list[list[float]] = []
    row: dict[str, str] | None = None
    spans: list[tuple[float, int]] = []
    promised, rows, line = -1, 0, 0
    for line, words in _body(path):
        pairs = _pairs(words)
        if words[0] == "CoreRow":
            row, spans = {}, []
            rows += 1
        elif words[0] == "End" and row is not None:
            table += _row(path, line, row, spans, rows, source)
            row = None
        elif "numrows" in pairs:
            promised = whole(path, line, pairs["numrows"], "a number of rows")
        elif row is None or not pairs:
            raise FormatError(path, line, "`CoreRow Horizontal`", " ".join(words))
        elif "subroworigin" in pairs:
            origin = number(path, line, pairs["subroworigin"], "an x")
            spans.append((origin, whole(path, line, pairs.get("numsites", ""), "NumSites : COUNT")))
        else:
            row.update(pairs)
    if row is not None or (promised >= 0 and promised != rows):
        raise FormatError(path, line, f"{max(promised, rows)} rows, each with its End, before {END}", END)
    return Rows.of(table)


def _pairs(words: list[str]) -> dict[str, str]:
    """{"subroworigin": "0", "numsites": "2295"} from `SubrowOrigin : 0 NumSites : 2295`."""
    flat = " ".join(words).replace(":", " : ").split()
    return {flat[i - 1].lower(): flat[i + 1] for i, w in enumerate(flat[:-1]) if w == ":" and i}


def _row(
    path: Path, line: int, row: dict[str, str], spans: list[tuple[float, int]], group: int, source: Source
) -> list[list[float]]:
    """One line of the table for each stretch of sites in the row."""
    for needed in ("coordinate", "height", "sitewidth"):
        if needed not in row:
            raise FormatError(path, line, f"{needed} before End", "End")
    y, height, site = (number(path, line, row[k], k) for k in ("coordinate", "height", "sitewidth"))
    spacing = number(path, line, row.get("sitespacing", row["sitewidth"]), "sitespacing")
    if min(height, site, spacing) < text.SMALLEST:
        raise FormatError(
            path, line, "a positive height, sitewidth and sitespacing", f"{height} {site} {spacing}"
        )
    word = row.get("siteorient", "N")
    code = _code(path, line, ROW_ORIENT.get(word, word))
    source.row_extra += [(word, row.get("sitesymmetry", ""), group) for _ in spans]
    return [[x, y, height, site, spacing, sites, code] for x, sites in spans]


def _shapes(path: Path, index: dict[str, int]) -> dict[int, Floats]:
    """`NODE : COUNT`, then COUNT lines `SHAPE X Y WIDTH HEIGHT` (absolute, as in DAC 2012)."""
    rects: dict[int, list[list[float]]] = {}
    cell = -1
    left = line = 0
    for line, words in _body(path):
        if _counted(path, words, line) is not None:
            continue
        if left:
            x, y, w, h = (number(path, line, v, "x, y, width, height") for v in (words[1:] + [""] * 4)[:4])
            rects[cell].append([x, y, x + w, y + h])
            left -= 1
            continue
        if len(words) != 3 or words[1] != ":" or words[0] not in index:
            raise FormatError(path, line, "`NODE : COUNT`", " ".join(words))
        cell, left = index[words[0]], whole(path, line, words[2], "a number of shapes")
        rects[cell] = []
    if left:
        raise FormatError(path, line, f"{left} more shapes", END)
    return {c: np.array(r).reshape(-1, 4) for c, r in rects.items()}


def _kinds(width: Floats, height: Floats, rows: Rows, source: Source) -> np.ndarray:
    kind = np.full(len(width), Kind.CELL, dtype=np.int8)
    row_height = float(rows.height.min()) if len(rows) else np.inf
    kind[height > row_height] = Kind.MACRO
    for cell, word in source.terminals.items():
        pad = word == "terminal_NI" or max(width[cell], height[cell]) < row_height
        kind[cell] = Kind.PORT if pad else Kind.MACRO
    return kind


def _die(
    aux: Path, rows: Rows, placed: Placement, width: Floats, height: Floats
) -> tuple[float, float, float, float]:
    """The box around the rows; without rows, around everything placed."""
    if len(rows):
        return (
            float(rows.x.min()),
            float(rows.y.min()),
            float(rows.right.max()),
            float((rows.y + rows.height).max()),
        )
    there = np.isfinite(placed.x)
    if not there.any():
        raise FormatError(aux, 1, "an .scl file, or a .pl with positions, to know the die", "neither")
    x, y, w, h = placed.x[there], placed.y[there], width[there] / 2, height[there] / 2
    return float((x - w).min()), float((y - h).min()), float((x + w).max()), float((y + h).max())


def write_placement(path: Path, design: Design, placement: Placement) -> None:
    """The .pl file."""
    left, bottom = map(_whole, design.boxes(placement)[:2])
    marks = design.source.pl_marks if isinstance(design.source, Source) else {}
    out = ["UCLA pl 1.0", ""]
    for i, name in enumerate(design.cell_names):
        if np.isfinite(left[i]):
            mark = f" {marks[i]}" if i in marks else ""
            out.append(
                f"{name}\t{plain(left[i])}\t{plain(bottom[i])}\t: {orient.NAMES[placement.orient[i]]}{mark}"
            )
    text.write(path, "\n".join(out) + "\n")


def _whole(lengths: Floats) -> Floats:
    """Whole numbers where only the way from centres to corners made them something else."""
    near = np.round(lengths) + 0.0
    return np.where(np.abs(lengths - near) < 1e-9, near, lengths)


def write(aux: Path, design: Design, placement: Placement) -> None:
    """Every file of the design beside `aux`, named after it; `.gz` on `aux` compresses all."""
    packed = ".gz" if aux.suffix == ".gz" else ""
    stem = aux.name.removesuffix(".gz").removesuffix(".aux")
    source = design.source if isinstance(design.source, Source) else _source_of(design)
    parts = {"nodes": _nodes_text(design, source), "nets": _nets_text(design, source)}
    if source.weighted or source.other_weights or (design.net_weight != 1).any():
        parts["wts"] = _wts_text(design, source)
    if len(design.rows):
        parts["scl"] = _scl_text(design.rows, source)
    if design.rects:
        parts["shapes"] = _shapes_text(design)
    for part, content in parts.items():
        text.write(aux.parent / f"{stem}.{part}{packed}", content)
    write_placement(aux.parent / f"{stem}.pl{packed}", design, placement)
    named = " ".join(f"{stem}.{part}" for part in [*parts, "pl"])
    text.write(aux, f"RowBasedPlacement : {named}\n")


def _source_of(design: Design) -> Source:
    """For a design that came from another format."""
    ports = {int(i): "terminal_NI" for i in np.flatnonzero(design.kind == Kind.PORT)}
    fixed = {int(i): "terminal" for i in np.flatnonzero(design.fixed & (design.kind != Kind.PORT))}
    rows = [(orient.NAMES[int(c)], "", i) for i, c in enumerate(design.rows.orient)]
    return Source(terminals=fixed | ports, directions=["B"] * design.pins, row_extra=rows)


def _nodes_text(design: Design, source: Source) -> str:
    out = [
        "UCLA nodes 1.0",
        "",
        f"NumNodes : {design.cells}",
        f"NumTerminals : {len(source.terminals)}",
        "",
    ]
    for i, name in enumerate(design.cell_names):
        word = f"\t{source.terminals[i]}" if i in source.terminals else ""
        out.append(f"\t{name}\t{plain(design.width[i])}\t{plain(design.height[i])}{word}")
    return "\n".join(out) + "\n"


def _nets_text(design: Design, source: Source) -> str:
    out = ["UCLA nets 1.0", "", f"NumNets : {design.nets}", f"NumPins : {design.pins}", ""]
    for net, name in enumerate(design.net_names):
        first, last = int(design.net_start[net]), int(design.net_start[net + 1])
        out.append(f"NetDegree : {last - first}\t{name}")
        for pin in range(first, last):
            direction = f" {source.directions[pin]}" if source.directions[pin] else ""
            label = f" : {source.pin_names[pin]}" if pin in source.pin_names else ""
            offset = f"{plain(design.pin_x[pin])} {plain(design.pin_y[pin])}"
            out.append(f"\t{design.cell_names[design.pin_cell[pin]]}{direction} : {offset}{label}")
    return "\n".join(out) + "\n"


def _wts_text(design: Design, source: Source) -> str:
    out = ["UCLA wts 1.0", ""]
    out += [f"\t{name}\t{value}" for name, value in source.other_weights]
    if source.weighted or (design.net_weight != 1).any():
        out += [f"\t{n}\t{plain(w)}" for n, w in zip(design.net_names, design.net_weight)]
    return "\n".join(out) + "\n"


def _scl_text(rows: Rows, source: Source) -> str:
    groups: dict[int, list[int]] = {}
    for i, (_, _, group) in enumerate(source.row_extra):
        groups.setdefault(group, []).append(i)
    out = ["UCLA scl 1.0", "", f"NumRows : {len(groups)}", ""]
    for members in groups.values():
        first = members[0]
        word, symmetry, _ = source.row_extra[first]
        out += [
            "CoreRow Horizontal",
            f" Coordinate : {plain(rows.y[first])}",
            f" Height : {plain(rows.height[first])}",
            f" Sitewidth : {plain(rows.site_width[first])}",
            f" Sitespacing : {plain(rows.spacing[first])}",
            f" Siteorient : {word}",
            *([f" Sitesymmetry : {symmetry}"] if symmetry else []),
            *(f" SubrowOrigin : {plain(rows.x[i])} NumSites : {rows.sites[i]}" for i in members),
            "End",
        ]
    return "\n".join(out) + "\n"


def _shapes_text(design: Design) -> str:
    out = ["shapes 1.0", "", f"NumNonRectangularNodes : {len(design.rects)}", ""]
    for cell, rects in design.rects.items():
        out.append(f"{design.cell_names[cell]} : {len(rects)}")
        for i, (left, bottom, right, top) in enumerate(rects):
            out.append(
                f"\tShape_{i} {plain(left)} {plain(bottom)} {plain(right - left)} {plain(top - bottom)}"
            )
    return "\n".join(out) + "\n"
