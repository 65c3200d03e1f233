"""A design as a graph: slang's frontend inside Yosys, flattened, memories as registers, mapped to ANDs and flip-flops.

Asynchronous resets become synchronous ones of the same effect (a reset is then seen at the next clock edge); latches become a register and
a multiplexer. Designs with several clocks, both edges of one, or gated clocks are modelled with every clock as an input that may change at each
step (`clk2fflogic`); the model says so in its notes.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kerf.core.types import KerfError
from kerf.verification import kept
from kerf.verification.deadline import left
from kerf.verification.design import Design
from kerf.verification.netlist import CombinationalLoop, Netlist, netlist
from kerf.verification.scratch import check_whole, room
from kerf.verification.yosys import Yosys, warm

MEMORY_BITS = 1 << 18
# registers are left as they are: Yosys 0.70 changes what a named wire stands for in cycles in which a register does not take it, and loses the
# multiplexers that it takes for a synchronous reset of a register with an asynchronous load
GATES = ["simplemap", "techmap", "opt -fast -noff", "dffunmap", "aigmap", "opt_clean"]
# before any optimization, which would choose for an unknown value what suits it, and take an assertion for another that says the same; and once more
# for what memories leave unknown
FREE_UNKNOWNS = "setundef -undriven -anyseq"
EACH = "setattr -set keep 1 t:$check"
# what a name stands for is not optimized away: half of a word would be left without a driver, and then be free
NAMED = "setattr -set keep 1 w:* w:$* %d"
# no two unknown values may be taken for one because their cells look alike
APART = "setattr -set keep 1 t:$any*"
ALWAYS_COMB = re.compile(r"\balways_comb\b")
CASE_EQUALITY = re.compile(r"(?:^  attribute [^\n]*\n)*^  cell \$(eqx|nex) .*?^  end$", re.M | re.S)
UNSIZED = re.compile(r"(?<![\w'])'[sS]?[bBoOhHdD]([xXzZ])\1*(?!\w)")
STEP = "synthesis"
YOSYS_SHARE = 0.8  # of the time; reading what it made cannot be stopped, and takes a quarter as long
BLACK_BOX = "; give its source, or leave its instance out"


@dataclass(frozen=True)
class Synthesized:
    """`stepped`: every clock is an input and a step is not a clock cycle."""

    netlist: Netlist
    stepped: bool
    notes: tuple[str, ...]


def synthesize(
    design: Design,
    texts: Mapping[str, str] | None = None,
    *,
    free_unknowns: bool = True,
    stepped: bool = False,
    checks: bool = False,
    keep: bool = False,
    timeout_s: float = 60.0,
) -> Synthesized:
    """The graph of `design`; `texts` replaces the text of sources by name (same top, same lines). An `x` and a net that nothing drives are free
    inputs of the graph, as a proof wants; without `free_unknowns` they are what makes the graph smallest, as in a chip. `stepped`: every clock an
    input, even where there is one. `checks`: with the immediate assertions (concurrent ones are for `sva` to replace); without, all assertions are
    passed over. `keep`: look for the graph on disk, and leave it there. `timeout_s` is for all of it. OutOfTime when it is over, NoRoom where temporary files cannot be written, YosysError when Yosys refuses, KerfError for what no model can be made of: black boxes, combinational loops,
    memories over 2^18 bits."""
    texts = {s.name: s.text for s in design.sources} | dict(texts or {})
    key = kept.key_of(design, texts, free_unknowns, stepped, checks) if keep else ""
    if key and (known := kept.recall(key)) is not None:
        return Synthesized(*known)
    with room():
        made = _patiently(
            design, texts, free_unknowns, stepped, checks, time.monotonic() + YOSYS_SHARE * timeout_s
        )
    if key:
        kept.keep(key, made.netlist, made.stepped, made.notes)
    return made


def _patiently(
    design: Design,
    texts: Mapping[str, str],
    free_unknowns: bool,
    stepped: bool,
    checks: bool,
    deadline: float,
) -> Synthesized:
    """Once more with latches where `always_comb` leaves a value unassigned."""
    try:
        return _synthesized(design, texts, free_unknowns, stepped, checks, deadline)
    except CombinationalLoop:
        latched = {name: ALWAYS_COMB.sub("always @*", text) for name, text in texts.items()}
        if latched == texts:
            raise
        made = _synthesized(design, latched, free_unknowns, stepped, checks, deadline)
        return replace(
            made, notes=(*made.notes, "always_comb that leaves a value unassigned: keeps it, as a latch")
        )


def _synthesized(
    design: Design,
    texts: Mapping[str, str],
    free_unknowns: bool,
    stepped: bool,
    checks: bool,
    deadline: float,
) -> Synthesized:
    worker = warm(design.folders)
    _restart(worker, design, texts, checks, deadline)
    worker.run(_words(worker, design, free_unknowns), left(deadline, STEP))
    check_whole(worker.scratch / "words.il", b"end")
    words = _module(worker, "words.json", design.top)
    _check_words(words)
    worker.run(_gates(worker, "async2sync", free_unknowns), left(deadline, STEP))
    left(deadline, STEP)
    found = netlist(_module(worker, "gates.json", design.top))
    notes = _notes(words, found, design)
    if not stepped and len(found.clocks) <= 1 and _is_input(found, found.clocks):
        return Synthesized(_renamed(found, design, worker), False, notes)
    worker.run(_gates(worker, "clk2fflogic", free_unknowns), left(deadline, STEP))
    left(deadline, STEP)
    by_steps = replace(netlist(_module(worker, "gates.json", design.top)), clocks=found.clocks)
    clocks = ", ".join(sorted({name for name, _ in found.clocks}))
    note = f"clocks {clocks}: modelled step by step, each clock an input that may change at any step"
    return Synthesized(_renamed(by_steps, design, worker), True, (*notes, note) if clocks else notes)


def _restart(worker: Yosys, design: Design, texts: Mapping[str, str], checks: bool, deadline: float) -> None:
    names = []
    for index, source in enumerate(design.sources):
        text = texts.get(source.name, source.text)
        text = UNSIZED.sub(_extended, text)
        (worker.scratch / f"s{index}.sv").write_bytes(text.encode("utf-8", "surrogateescape"))
        names.append(str(worker.scratch / f"s{index}.sv"))
    flags = [f"-I {_linked(worker, i, folder)}" for i, folder in enumerate(design.folders)]
    flags += [f"-D {_word(k if v == '' else f'{k}={v}')}" for k, v in design.defines.items()]
    flags += [f"-G {_word(f'{k}={v}')}" for k, v in design.parameters.items()]
    flags += ["--no-synthesis-define", "--ignore-timing", "--error-limit 5"]
    flags += [] if checks else ["--ignore-assertions"]
    read = f"read_slang {' '.join(flags)} --top {design.top} {' '.join(names)}"
    worker.run([read, NAMED, EACH, f"write_rtlil {worker.scratch}/read.il"], left(deadline, STEP))
    check_whole(worker.scratch / "read.il", b"end")
    _fold_case_equality(worker.scratch / "read.il")


def _extended(literal: re.Match[str]) -> str:
    """An unsized x or z is as wide as what is around it (1800-2017, 5.7.1); slang makes it 32 bits, and what is beyond them 0."""
    before = literal.string[max(literal.string.rfind(";", 0, literal.start()), 0) : literal.start()]
    if re.search(r"\b(parameter|localparam)\b[^)]*$", before):
        return literal[0]  # its width is the constant's own
    return f"'{literal[1]}".rjust(len(literal[0]))


def _fold_case_equality(file: Path) -> None:
    """`a === 1'bx` is false and `a !== 1'bx` true, as no signal of the graph is ever x; left alone, the x would become a free value."""
    text = file.read_text(errors="surrogateescape")
    file.write_text(CASE_EQUALITY.sub(_folded, text), errors="surrogateescape")


def _folded(cell: re.Match[str]) -> str:
    if not re.search(r"^    connect \\[AB] \d+'[01xz]*x[01xz]*$", cell[0], re.M):
        return cell[0]
    output = re.search(r"^    connect \\Y (.*)$", cell[0], re.M)
    width = re.search(r"parameter \\Y_WIDTH (\d+)", cell[0])
    assert output and width
    value = "1" if cell[1] == "nex" else "0"
    return f"  connect {output[1]} {width[1]}'{value.zfill(int(width[1]))}"


def _linked(worker: Yosys, index: int, folder: Path) -> Path:
    """A name for a folder that is one word to Yosys, whatever the folder is called."""
    link = worker.scratch / f"i{index}"
    if not link.exists():
        link.symlink_to(folder)
    return link


def _word(text: str) -> str:
    """One word of a Yosys command, whose parser knows no escapes."""
    if not re.fullmatch(r"[\w='.+-]+", text):
        raise KerfError(f"a macro or parameter cannot be passed on to synthesis: {text!r}")
    return text


def _words(worker: Yosys, design: Design, free_unknowns: bool) -> list[str]:
    return [
        f"read_rtlil {worker.scratch}/read.il", *([FREE_UNKNOWNS, APART] if free_unknowns else []), f"prep -top {design.top} -flatten",
        f"write_rtlil {worker.scratch}/words.il", f"write_json {worker.scratch}/words.json",
    ]  # fmt: skip


def _gates(worker: Yosys, clocking: str, free_unknowns: bool) -> list[str]:
    unknowns = [*([FREE_UNKNOWNS] if free_unknowns else []), APART]
    return [
        f"read_rtlil {worker.scratch}/words.il", "memory_map", *unknowns, "opt -full -noff", clocking, "dffunmap", *GATES,
        f"write_json -noscopeinfo {worker.scratch}/gates.json",
    ]  # fmt: skip


def _module(worker: Yosys, name: str, top: str) -> dict[str, Any]:
    check_whole(worker.scratch / name, b"\n}")
    modules = json.loads((worker.scratch / name).read_text(errors="replace"))["modules"]
    return dict(modules.get(top) or next(iter(modules.values())))


def _check_words(words: Mapping[str, Any]) -> None:
    for name, cell in words["cells"].items():
        kind = cell["type"]
        if kind.startswith("$mem"):
            bits = int(cell["parameters"]["SIZE"], 2) * int(cell["parameters"]["WIDTH"], 2)
            if bits > MEMORY_BITS:
                raise KerfError(
                    f"memory {name} holds {bits} bits, more than the {MEMORY_BITS} that are modelled: make it smaller by a parameter"
                )
        if not kind.startswith("$"):
            raise KerfError(f"instance {name}: module {kind} has no source{BLACK_BOX}")


def _is_input(found: Netlist, clocks: Sequence[tuple[str, str]]) -> bool:
    return all(found.graph.signals[name].kind == "input" for name, _ in clocks if name in found.graph.signals)


def _notes(words: Mapping[str, Any], found: Netlist, design: Design) -> tuple[str, ...]:
    kinds = {cell["type"] for cell in words["cells"].values()}
    notes = []
    if kinds & {"$adff", "$adffe", "$aldff", "$aldffe", "$dffsr", "$dffsre"}:
        notes.append("asynchronous resets: modelled as seen at the next clock edge")
    if kinds & {"$dlatch", "$adlatch", "$dlatchsr"}:
        notes.append("latches: modelled as a register and a multiplexer")
    if "$tribuf" in kinds:
        notes.append("tri-state drivers: a net has any value while none of them is on, or several disagree")
    undriven = [n for n in found.undriven if not _inside(design.root.body, n.split("."))]
    if undriven:
        notes.append(f"undriven, taken to be free: {', '.join(undriven[:8])}")
    return tuple(notes)


def _inside(scope: Any, path: Sequence[str]) -> bool:
    """Whether a name is that of a function's argument or of a covergroup's method: no net that somebody forgot to drive."""
    if scope is None or len(path) < 2:
        return False
    found = scope.find(path[0].partition("[")[0])
    if type(found).__name__ in ("SubroutineSymbol", "CovergroupType"):
        return True
    blocks = getattr(found, "entries", None)
    inner = blocks[0] if blocks else found if hasattr(found, "find") else getattr(found, "body", None)
    return _inside(inner, path[1:])


def _renamed(found: Netlist, design: Design, worker: Yosys) -> Netlist:
    """Locations told with the user's names of the files."""
    staged = {
        Path(str(worker.scratch / f"s{i}.sv")).name: source.name for i, source in enumerate(design.sources)
    }

    def place(text: str) -> str:
        file, _, where = text.partition("|")[0].partition(":")
        return f"{staged.get(Path(file).name, file)}:{where.partition('.')[0]}" if text else ""

    signals = found.graph.signals
    for name, signal in signals.items():
        signals[name] = replace(signal, source=place(signal.source))
    return replace(found, checks=tuple(replace(c, source=place(c.source)) for c in found.checks))
