"""Equivalence on a processor and on published bugs: what is the same must be proved, what is not must be shown.

`python bench/verification_equiv.py --data FOLDER [--seconds S] [--kind harmless|wrong|published]`, with checkouts of github.com/YosysHQ/picorv32 and
github.com/ekiwi/rtl-repair in FOLDER. picorv32 is compared with copies of it in which a text is replaced: by one that means the same (another order, other
names, another nesting, its own synthesis by another flow, an operator in what is not built), or by one operator, one constant or one bit that is wrong. A text that is not
there, as often as it should be, ends the benchmark. Then the originals of RTL-Repair's bugs (Laeufer et al., ASPLOS 2024) are compared with the bugs.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kerf.core.types import KerfError
from kerf.verification.design import Design, Source, load, read
from kerf.verification.equivalence import Same, equivalent
from verification_judge import YOSYS
from verification_repair import bugs
from verification_table import Row, cpu_s, part

TOP = "picorv32"
SIGN = "$signed({instr_sra || instr_srai ? reg_op1[31] : 1'b0, reg_op1})"
ADDRESS = """			if (mem_la_read || mem_la_write) begin
				mem_addr <= mem_la_addr;
				mem_wstrb <= mem_la_wstrb & {4{mem_la_write}};
			end
			if (mem_la_write) begin
				mem_wdata <= mem_la_wdata;
			end
"""
NESTED = """			if (mem_la_write) begin
				mem_addr <= mem_la_addr;
				mem_wstrb <= mem_la_wstrb;
				mem_wdata <= mem_la_wdata;
			end else if (mem_la_read) begin
				mem_addr <= mem_la_addr;
				mem_wstrb <= 0;
			end
"""


@dataclass(frozen=True)
class Edit:
    """`old` stands `times` times in the source, and `new` takes its place."""

    name: str
    old: str
    new: str
    times: int = 1

    def applied(self, text: str) -> str:
        found = text.count(self.old)
        if found != self.times:
            raise SystemExit(f"{self.name}: {self.old!r} stands {found} times in the source, not {self.times}: another version of it?")  # fmt: skip
        return text.replace(self.old, self.new)


HARMLESS = (
    Edit("a + b becomes b + a", "reg_op1 + reg_op2", "reg_op2 + reg_op1", 2),
    Edit("an if nested otherwise", ADDRESS, NESTED),
    Edit("an operator of the shifter that is not built", f"alu_shr = {SIGN} >>>", f"alu_shr = {SIGN} >>"),
    Edit(
        "a comparison the other way round", "alu_ltu = reg_op1 < reg_op2", "alu_ltu = !(reg_op1 >= reg_op2)"
    ),
)
WRONG = (
    Edit("< becomes <=", "alu_lts = $signed(reg_op1) < $signed", "alu_lts = $signed(reg_op1) <= $signed"),
    Edit(">>> becomes >>", "$signed(reg_op1) >>> 4", "$signed(reg_op1) >> 4"),
    Edit("^ becomes |", "alu_out = reg_op1 ^ reg_op2", "alu_out = reg_op1 | reg_op2"),
    Edit("a reset value", "reg_next_pc <= PROGADDR_RESET;", "reg_next_pc <= PROGADDR_RESET ^ 32'd64;"),
    Edit("a bit of an immediate", "$signed({mem_rdata_q[31:25], mem_rdata_q[11:7]})", "$signed({mem_rdata_q[31:25], mem_rdata_q[11:8], 1'b0})"),
    Edit("unsigned becomes signed", "alu_out_0 = !alu_ltu", "alu_out_0 = !alu_lts"),
    Edit("a sign is not extended", "reg_out <= $signed(mem_rdata_word[15:0])", "reg_out <= mem_rdata_word[15:0]"),
    Edit("a byte's lane", "4'b0001 << reg_op1[1:0]", "4'b0001 << reg_op1[0]"),
)  # fmt: skip
RENAMED = ("reg_op1", "reg_op2", "reg_out", "cpu_state", "mem_state", "cpuregs", "decoded_imm")


def renamed(text: str) -> str:
    for name in RENAMED:
        text, found = re.subn(rf"\b{name}\b", f"{name}_renamed", text)
        if not found:
            raise SystemExit(f"{name} is not in the source: another version of it?")
    return text


def resynthesized(path: Path, folder: Path) -> str:
    """By `synth`, written as Verilog. Read by slang, as the original is: Yosys's own frontend extends an unsized 'bx, as the standard wants, slang's does not."""
    made = folder / "made.v"
    passes = [f"read_slang --ignore-timing --top {TOP} {path}", f"synth -flatten -top {TOP}", "delete */t:$scopeinfo", f"write_verilog -noattr {made}"]  # fmt: skip
    subprocess.run([sys.executable, "-c", YOSYS, *passes], capture_output=True, timeout=600, check=True)
    return made.read_text()


def harmless(data: Path, seconds: float) -> Iterator[Row]:
    path = data / "picorv32" / "picorv32.v"
    text = path.read_text()
    edits = [(e.name, e.applied(text)) for e in HARMLESS] + [("registers renamed", renamed(text))]
    with tempfile.TemporaryDirectory() as folder:
        edits.append(("synthesized by another flow", resynthesized(path, Path(folder))))
    yield _compared("harmless edits", text, edits, Same.EQUAL, seconds)


def wrong(data: Path, seconds: float) -> Iterator[Row]:
    text = (data / "picorv32" / "picorv32.v").read_text()
    yield _compared("wrong edits of one place", text, [(e.name, e.applied(text)) for e in WRONG], Same.DIFFERENT, seconds)  # fmt: skip


def _compared(what: str, text: str, edits: Sequence[tuple[str, str]], wanted: Same, seconds: float) -> Row:
    gold = _read(text)
    return _row(f"equiv: picorv32 against {what}", [_case(n, gold, _read(t), seconds) for n, t in edits], wanted)  # fmt: skip


def _read(text: str) -> Design:
    return read([Source("picorv32.v", text)], top=TOP)


def published(data: Path, seconds: float) -> Iterator[Row]:
    """The originals against the bugs."""
    cases = []
    for bug in bugs(data):
        if bug.get("missing") or not bug["top"]:
            continue
        try:
            gold, gate = (load(bug[k], top=bug["top"], includes=bug["includes"]) for k in ("originals", "files"))  # fmt: skip
            cases.append(_case(bug["name"], gold, gate, seconds))
        except KerfError as error:
            print(f"    {bug['name']}: not compared: {str(error).splitlines()[0][:100]}", flush=True)
    yield _row("equiv: RTL-Repair's originals against their bugs", cases, Same.DIFFERENT)


def _case(name: str, gold: Design, gate: Design, seconds: float) -> Row:
    begun, cpu = time.monotonic(), cpu_s()
    found = equivalent(gold, gate, timeout_s=seconds)
    wall, spent = time.monotonic() - begun, cpu_s() - cpu
    row = {"name": name, "verdict": str(found.verdict), "engine": found.engine, "cycles": len(found.table), "seconds": round(wall, 1), "cpu_seconds": round(spent, 1)}  # fmt: skip
    print(f"    {name}: {found.verdict} {found.engine} {row['cycles'] or ''} ({wall:.1f} s, {spent:.1f} CPU-s)", flush=True)  # fmt: skip
    return row


def _row(work: str, cases: Sequence[Row], wanted: Same) -> Row:
    verdicts = Counter(case["verdict"] for case in cases)
    seconds, spent = ([case[k] for case in cases] for k in ("seconds", "cpu_seconds"))
    others = ", ".join(f"{n} {v}" for v, n in verdicts.items() if v != wanted)
    measured = f"{verdicts[wanted]} of {len(cases)} {wanted}{', ' + others if others else ''}; median {statistics.median(spent):.1f} CPU-s, at most {max(spent):.1f} CPU-s ({max(seconds):.0f} s)"  # fmt: skip
    return {"work": work, "known": "", "aim": f"all {wanted}", "measured": measured, "seconds": round(sum(seconds), 1), "cases": cases}  # fmt: skip


KINDS = {"harmless": harmless, "wrong": wrong, "published": published}


def rows(chosen: argparse.Namespace) -> Iterator[Row]:
    for kind in [chosen.kind] if chosen.kind else KINDS:
        yield from KINDS[kind](chosen.data, chosen.seconds)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=120.0, help="for each comparison")
    parser.add_argument("--kind", choices=sorted(KINDS), help="of edits; all without it")


if __name__ == "__main__":
    part(__doc__, rows, _options)
