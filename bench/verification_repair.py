"""Repair, on the bugs of RTL-Repair's artifact (Laeufer et al., ASPLOS 2024): CirFix's 32, and 13 found in open FPGA designs.

`python bench/verification_repair.py --data FOLDER`, with a checkout of github.com/ekiwi/rtl-repair in FOLDER (or in FOLDER/rtl-repair). A bug counts as
repaired when the design passes the whole table; as correct when it is, besides, equal to the original by proof, or for as many cycles as could be compared.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

from kerf.core.types import KerfError
from kerf.verification.design import Design, load
from kerf.verification.equivalence import Same, equivalent
from kerf.verification.model import model
from kerf.verification.repair import Outcome, Repair, repair
from verification_table import Row, part

CIRFIX = {
    "decoder_3_to_8": ("wadden_buggy1", "wadden_buggy2"),
    "first_counter_overflow": ("wadden_buggy1", "kgoliya_buggy1", "wadden_buggy2"),
    "flip_flop": ("wadden_buggy1", "wadden_buggy2"),
    "fsm_full": ("wadden_buggy1", "ssscrazy_buggy2", "wadden_buggy2", "ssscrazy_buggy1"),
    "lshift_reg": ("wadden_buggy1", "wadden_buggy2", "kgoliya_buggy1"),
    "mux_4_1": ("kgoliya_buggy1", "wadden_buggy2", "wadden_buggy1"),
    "opencores/i2c/slave.toml": ("wadden_buggy1", "wadden_buggy2"),
    "opencores/i2c/master_sync_reset.toml": ("kgoliya_buggy1",),
    "opencores/sha3/low_throughput_core/keccak.toml": (
        "wadden_buggy1",
        "round_ssscrazy_buggy1",
        "wadden_buggy2",
    ),
    "opencores/sha3/low_throughput_core/padder.toml": ("ssscrazy_buggy1",),
    "opencores/pairing": ("wadden_buggy1", "kgoliya_buggy1", "wadden_buggy2"),
    "opencores/reed_solomon_decoder": ("BM_lamda_ssscrazy_buggy1", "out_stage_ssscrazy_buggy1"),
    "sdram_controller/no_tri_state.toml": ("wadden_buggy2", "kgoliya_buggy2", "wadden_buggy1"),
}
FPGA = {
    "axi-lite-s1": ("s1b", "s1r"),
    "axi-stream-s2": ("s2",),
    "axis-adapter-s3": ("s3",),
    "axis-async-fifo-c4": ("c4",),
    "axis-fifo-d4": ("d4",),
    "axis-fifo-d12": ("d12",),
    "axis-frame-fifo-d11": ("d11",),
    "axis-frame-len-d13": ("d13",),
    "axis-switch-d8": ("d8",),
    "zipcpu-spi-c1-c3-d9": ("c1", "c3", "d9"),
}
CYCLES = 12
CHECKED = 2  # repairs of each bug compared with the original
ORACLES = ("orig_tb", "csv", "fixed_x_prop_tb")


def bugs(data: Path) -> Iterator[Row]:
    """Each bug: set, name, files, original files, top and table (None when it is not in the data)."""
    root = data / "rtl-repair" if (data / "rtl-repair" / "benchmarks").exists() else data
    for kind, folder, chosen in (("CirFix", "cirfix", CIRFIX), ("FPGA", "fpga-debugging", FPGA)):
        for place, names in chosen.items():
            file = root / "benchmarks" / folder / place
            file = file if file.suffix == ".toml" else file / "project.toml"
            if not file.exists():
                yield from ({"set": kind, "name": f"{place}/{n}", "missing": True} for n in names)
                continue
            project = tomllib.loads(file.read_text())
            for name in names:
                yield _bug(kind, file, project, name)


def _bug(kind: str, file: Path, project: Row, name: str) -> Row:
    home = (file.parent / project["project"].get("directory", ".")).resolve()
    bug = next(b for b in project["bugs"] if b["name"] == name)
    sources = project["project"]["sources"]
    tables = [t for t in project["testbenches"] if "table" in t and name in t.get("bugs", [name])]
    tables.sort(key=lambda t: ORACLES.index(t["name"]) if t["name"] in ORACLES else -1 if "bugs" in t else 9)
    found = [home / t["table"] for t in tables if (home / t["table"]).exists()]
    title = project["project"].get("name", file.parent.name)
    return {
        "set": kind, "name": f"{title}/{name}", "top": project["project"].get("toplevel", ""),
        "files": [home / (bug["buggy"] if s == bug["original"] else s) for s in sources],
        "originals": [home / s for s in sources], "table": found[0] if found else None, "includes": [home],
    }  # fmt: skip


def attempt(bug: Row, seconds: float) -> Row:
    """One bug: the row of a table."""
    row: Row = {"set": bug["set"], "name": bug["name"]}
    if bug.get("missing") or bug["table"] is None:
        return row | {"result": "no table in the data"}
    if not bug["top"]:
        return row | {"result": "no design to synthesize (a model for simulation)"}
    begun = time.monotonic()
    try:
        design = load(bug["files"], top=bug["top"], includes=bug["includes"])
        outcome = repair(design, table=bug["table"], seconds=seconds, zero=bug["set"] == "FPGA")
    except KerfError as error:
        return row | {"result": f"refused: {str(error).splitlines()[-1][:100]}", "seconds": round(time.monotonic() - begun, 2)}  # fmt: skip
    return row | _told(bug, design, outcome, time.monotonic() - begun)


def _told(bug: Row, design: Design, outcome: Outcome, seconds: float) -> Row:
    row: Row = {"seconds": round(seconds, 2), "passed_before": outcome.passes}
    if not outcome.repairs:
        why = "passes as it is" if outcome.passes else "none found" if outcome.exhausted else "time"
        return row | {"result": why, "notes": list(outcome.notes)}
    original = load(bug["originals"], top=bug["top"], includes=bug["includes"])
    verdicts = [_against(original, design, r) for r in outcome.repairs[:CHECKED]]
    first = outcome.repairs[0]
    return row | {
        "result": "repaired", "against_original": verdicts[0], "any_correct": any(v.startswith("equal") for v in verdicts),
        "changes": list(first.changes), "diff": _relative(first.diff, design), "repairs": len(outcome.repairs), "notes": list(first.notes),
    }  # fmt: skip


def _relative(diff: str, design: Design) -> str:
    for source in design.sources:
        diff = diff.replace(source.name, Path(source.name).name)
    return diff


def _against(original: Design, design: Design, found: Repair) -> str:
    """The repaired design beside the original: for every input sequence from power-up, from reset, or for some cycles."""
    try:
        repaired = design.with_texts(found.texts)
        from_power_up = equivalent(original, repaired, timeout_s=15)
        if from_power_up.verdict is Same.EQUAL:
            return "equal"
        reset = model(original).reset
        name = ("" if reset.active else "!") + reset.name if reset else None
        verdict = equivalent(original, repaired, timeout_s=15, reset=name).verdict if name else from_power_up.verdict  # fmt: skip
        if verdict is Same.EQUAL:
            return "equal from reset"
        if verdict is Same.UNDECIDED:
            bounded = equivalent(original, repaired, timeout_s=15, bounded=CYCLES, reset=name)
            return f"equal for {CYCLES} cycles" if bounded.verdict is Same.EQUAL else str(bounded.verdict)
        return str(verdict)
    except KerfError as error:
        return f"not compared: {str(error).splitlines()[0][:80]}"


def summary(rows: list[Row]) -> Iterator[Row]:
    """A row for each set of bugs, with what was published for RTL-Repair."""
    known = {"CirFix": ("17 of 32, 7 min", "20 of 32"), "FPGA": ("9 of 13, 4 min", "10 of 13")}
    for kind, (published, aim) in known.items():
        mine = [r for r in rows if r["set"] == kind]
        done = [r for r in mine if r["result"] == "repaired"]
        tried = [r for r in mine if not r["result"].startswith("no ")]
        correct = [r for r in done if r["against_original"].startswith("equal")]
        if mine:
            yield {
                "work": f"repair: {kind}", "known": published, "aim": aim,
                "measured": f"{len(done)} of {len(mine)} repaired ({len(tried)} with an oracle), {len(correct)} equal to the original",
                "seconds": round(statistics.median(r["seconds"] for r in done), 2) if done else 0.0, "bugs": mine,
            }  # fmt: skip


def rows(chosen: argparse.Namespace) -> Iterator[Row]:
    """Every bug is told as it is tried; then a row a set, with its bugs."""
    found = []
    for bug in bugs(chosen.data):
        if chosen.only in bug["name"]:
            found.append(attempt(bug, chosen.seconds))
            _tell(found[-1], chosen.diffs)
    yield from summary(found)


def _tell(row: Row, diffs: bool) -> None:
    print(f"{row['set']:7}{row['name']:45}{row.get('seconds', 0):7.2f} s  {row['result']}, {row.get('against_original', '')}  {'; '.join(row.get('changes', []))}", flush=True)  # fmt: skip
    if diffs:
        print(row.get("diff", ""), *row.get("notes", ()), sep="\n")


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=60.0, help="for each bug")
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--diffs", action="store_true")


if __name__ == "__main__":
    part(__doc__, rows, _options)
