"""Coverage closure on LLM4DV's three designs (Zhang et al., 2023), with bins as its test benches define them, and no language model.

    python bench/verification_coverage.py --data FOLDER [--only decoder,stride,cpu] [--seed N]

FOLDER holds a checkout of github.com/ZixiBenZhang/ml4dv as `ml4dv`.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from kerf.verification.coverage import Bin, Closure, close, cross, value_bins, word
from kerf.verification.design import Source, load, read
from kerf.verification.graph import Graph
from kerf.verification.model import Model, model
from verification_table import Row, part

DECODER_TOP = """
module decoder_bench (
  input  logic [31:0] insn,
  output logic [5:0] alu, output logic [1:0] a_mux, output logic b_mux, we, output logic [4:0] waddr, raddr_a, raddr_b,
  output logic ren_a, ren_b, wd, mult, div, illegal, req, dwe, output logic [1:0] size
);
  ibex_pkg::alu_op_e alu_e; ibex_pkg::op_a_sel_e a_e; ibex_pkg::op_b_sel_e b_e; ibex_pkg::rf_wd_sel_e w_e;
  ibex_decoder #(.BranchTargetALU(1)) dut (
    .clk_i(1'b0), .rst_ni(1'b0), .branch_taken_i(1'b1), .instr_first_cycle_i(1'b1), .instr_rdata_i(insn), .instr_rdata_alu_i(insn),
    .illegal_c_insn_i(1'b0), .alu_operator_o(alu_e), .alu_op_a_mux_sel_o(a_e), .alu_op_b_mux_sel_o(b_e), .rf_we_o(we), .rf_waddr_o(waddr),
    .rf_raddr_a_o(raddr_a), .rf_raddr_b_o(raddr_b), .rf_ren_a_o(ren_a), .rf_ren_b_o(ren_b), .rf_wdata_sel_o(w_e), .mult_sel_o(mult),
    .div_sel_o(div), .illegal_insn_o(illegal), .data_req_o(req), .data_we_o(dwe), .data_type_o(size));
  assign alu = alu_e; assign a_mux = a_e; assign b_mux = b_e; assign wd = w_e;
endmodule
"""
ALU = {"add": 0, "sub": 1, "xor": 2, "or": 3, "and": 4, "sra": 8, "srl": 9, "sll": 10, "slt": 43, "sltu": 44}
SIZES = {"word": 0, "half-word": 1, "byte": 2}


def decoder(data: Path) -> tuple[Model, list[Bin]]:
    """2107 bins: operations, ports, and their crosses, as ibex_decoder_cocotb.py and shared_types.py sample them."""
    folder = data / "ml4dv" / "ibex_decoder"
    files = load([folder / "ibex_pkg.sv", folder / "ibex_decoder.sv"], top="ibex_decoder").sources
    made = model(read([*files, Source("decoder_bench.sv", DECODER_TOP)], top="decoder_bench"))
    return made, decoder_bins(made.graph)


def decoder_bins(g: Graph) -> list[Bin]:
    def bit(name: str) -> int:
        return word(g, name)[0]

    legal = bit("illegal") ^ 1
    computes = g.all_of([legal, bit("we"), bit("mult") ^ 1, bit("div") ^ 1, bit("ren_a"), g.equal(word(g, "a_mux"), 0), bit("wd") ^ 1])  # fmt: skip
    load, store = (g.all_of([legal, bit("req"), x]) for x in (bit("dwe") ^ 1, bit("dwe")))
    loads_known = g.conjunction(load, g.equal(word(g, "size"), 3) ^ 1)
    writes = g.conjunction(legal, g.disjunction(bit("we"), loads_known))
    ports = {
        "a": value_bins(g, "read_a", word(g, "raddr_a"), range(32), when=g.conjunction(legal, bit("ren_a"))),
        "b": value_bins(g, "read_b", word(g, "raddr_b"), range(32), when=g.conjunction(legal, bit("ren_b"))),
        "w": value_bins(g, "write", word(g, "waddr"), range(32), when=writes),
    }
    bare = {"a": "raddr_a", "b": "raddr_b", "w": "waddr"}
    plain = {k: value_bins(g, n, word(g, n), range(32)) for k, n in bare.items()}
    immediate = bit("b_mux")
    groups = {
        "alu": (value_bins(g, "alu", word(g, "alu"), ALU, when=g.conjunction(computes, immediate ^ 1)), "abw"),
        "alu_imm": (value_bins(g, "alu_imm", word(g, "alu"), ALU, when=g.conjunction(computes, immediate)), "aw"),
        "load": (value_bins(g, "load", word(g, "size"), SIZES, when=load), "aw"),
        "store": (value_bins(g, "store", word(g, "size"), SIZES, when=store), "ab"),
    }  # fmt: skip
    bins = [Bin("illegal", legal ^ 1), *ports["a"], *ports["b"], *ports["w"]]
    for name, (operations, used) in groups.items():
        bins += operations
        for port in used:
            bins += cross(g, f"{name} x {port}", operations, plain[port])
    return bins


def stride(data: Path) -> tuple[Model, list[Bin]]:
    """1024 bins: 32 single strides, 992 pairs of different ones, sampled from the detector's outputs as stride_detector_cocotb.py does."""
    made = model(load([data / "ml4dv" / "stride_detector" / "stride_detector.sv"]))
    g = made.graph
    one, two = word(g, "stride_1_valid_o")[0], word(g, "stride_2_valid_o")[0]
    first = value_bins(g, "stride", word(g, "stride_1_o"), range(32), when=g.conjunction(one, two ^ 1))
    pairs = cross(
        g, "strides", value_bins(g, "s1", word(g, "stride_1_o"), range(32)),
        value_bins(g, "s2", word(g, "stride_2_o"), range(32)), when=g.conjunction(one, two),
    )  # fmt: skip
    return made, first + [b for i, b in enumerate(pairs) if i // 32 != i % 32]


CPU_TOP = """
module cpu_bench (input logic clk, rst_n, input logic [31:0] instruction, output logic valid, output logic [31:0] insn);
  logic ireq, ignt, irvalid, dreq, dgnt, drvalid;
  assign ignt = ireq & ~irvalid;  // memories grant at once and answer in the next cycle
  assign dgnt = dreq & ~drvalid;
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) begin irvalid <= 0; drvalid <= 0; end
    else begin irvalid <= ignt; drvalid <= dgnt; end
  ibex_top #(.DmHaltAddr(32'h00100000), .DmExceptionAddr(32'h00100000)) dut (
    .clk_i(clk), .rst_ni(rst_n), .test_en_i(1'b0), .scan_rst_ni(1'b1), .ram_cfg_i('0), .hart_id_i('0), .boot_addr_i(32'h00100000),
    .instr_req_o(ireq), .instr_gnt_i(ignt), .instr_rvalid_i(irvalid), .instr_rdata_i(instruction), .instr_rdata_intg_i('0), .instr_err_i(1'b0),
    .data_req_o(dreq), .data_gnt_i(dgnt), .data_rvalid_i(drvalid), .data_rdata_i(32'hC0001073), .data_rdata_intg_i('0), .data_err_i(1'b0),
    .irq_software_i(1'b0), .irq_timer_i(1'b0), .irq_external_i(1'b0), .irq_fast_i('0), .irq_nm_i(1'b0), .scramble_key_valid_i('0),
    .scramble_key_i('0), .scramble_nonce_i('0), .debug_req_i(1'b0), .fetch_enable_i(ibex_pkg::IbexMuBiOn), .rvfi_valid(valid), .rvfi_insn(insn));
endmodule
"""
CLOCK_GATE = """
module prim_generic_clock_gating #(parameter bit NoFpgaGate = 0, FpgaBufGlobal = 1) (input clk_i, en_i, test_en_i, output logic clk_o);
  assign clk_o = clk_i;  // as on an FPGA: one clock, never stopped
endmodule
"""
R_TYPE = {"add": 0, "sub": 0x40000000, "sll": 0x1000, "slt": 0x2000, "sltu": 0x3000, "xor": 0x4000, "srl": 0x5000, "sra": 0x40005000,
          "or": 0x6000, "and": 0x7000}  # fmt: skip
S_TYPE = {"sb": 0, "sh": 0x1000, "sw": 0x2000}


def cpu(data: Path, adjacent: bool = False) -> tuple[Model, list[Bin]]:
    """196 bins: instructions that retire, as instruction_monitor.py and instructions.py sample them; a hazard is between an instruction and the one
    that retired before it (as the bins are described), or, `adjacent`, in the cycle before it (as the published monitor samples). Stimulus is the word that the instruction
    memory answers in each cycle (their test bench may change the memory in each cycle)."""
    folder = data / "ml4dv" / "ibex_cpu"
    listed = re.findall(r"\$\(PWD\)/(src/\S+\.sv)", (folder / "Makefile").read_text())
    apart = ("tracer", "tracing", "xilinx", "prim_generic_clock_gating")
    names = [n for n in dict.fromkeys(listed) if not any(a in n for a in apart)]
    sources = [Source(n, _synthesizable((folder / n).read_text()), folder / n) for n in names]
    made = model(
        read(
            [*sources, Source("clock_gate.sv", CLOCK_GATE), Source("cpu_bench.sv", CPU_TOP)], top="cpu_bench",
            defines={"SYNTHESIS": "1", "RVFI": "1"}, includes=sorted({p.parent for p in folder.rglob("*.svh")}),
        ),
        timeout_s=300,
    )  # fmt: skip
    return made, cpu_bins(made.graph, adjacent)


def _synthesizable(text: str) -> str:
    """A variable whose initial value reads nets is a net."""
    return text.replace("logic unused_scramble_inputs =", "wire  unused_scramble_inputs =")


def cpu_bins(g: Graph, adjacent: bool) -> list[Bin]:
    valid, insn = word(g, "valid")[0], word(g, "insn")

    def masked(bits: Sequence[int], mask: int, value: int) -> int:
        return g.all_of(b ^ 1 ^ (value >> i & 1) for i, b in enumerate(bits) if mask >> i & 1)

    def kinds(bits: Sequence[int]) -> dict[str, int]:
        r = {k: masked(bits, 0xFE00707F, v | 0x33) for k, v in R_TYPE.items()}
        s = {k: masked(bits, 0x707F, v | 0x23) for k, v in S_TYPE.items()}
        return r | s | {"jal": masked(bits, 0x7F, 0x6F)}

    # what their monitor remembers: the instruction before, unless it was one of these formats without being one of these instructions
    formats = g.any_of([masked(insn, 0x7F, 0x33), masked(insn, 0x7F, 0x23)])
    now = {k: g.conjunction(valid, v) for k, v in kinds(insn).items()}
    skipped = g.all_of([valid, formats, g.any_of(now.values()) ^ 1])
    known, last = g.add_latch(0), [g.add_latch(0) for _ in insn]
    kept = skipped if adjacent else g.disjunction(skipped, valid ^ 1)
    g.set_next(known, g.choose(kept, known, valid))
    for latch, bit in zip(last, insn, strict=True):
        g.set_next(latch, g.choose(kept, latch, bit))
    before = {k: g.conjunction(known, v) for k, v in kinds(last).items() if k not in S_TYPE}

    rd, rs1, rs2, last_rd = insn[7:12], insn[15:20], insn[20:25], last[7:12]
    same, backwards = g.equal(rs1, rs2), insn[31]
    sources = g.disjunction(g.equal(rs1, 0), g.equal(rs2, 0))
    offset = g.any_of(insn[12:32])
    hazard = g.disjunction(g.equal(last_rd, rs1), g.equal(last_rd, rs2))
    bins = []
    for name, seen in now.items():
        points = {"seen": seen}
        if name not in S_TYPE:
            points["zero_dst"] = g.equal(rd, 0)
        if name != "jal":
            points |= {"zero_src": sources, "same_src": same}
        else:
            points |= {"br_backwards": backwards, "br_forwards": g.conjunction(backwards ^ 1, offset)}
        bins += [Bin(f"{name}_{k}", g.conjunction(seen, v)) for k, v in points.items()]
        if name != "jal":
            bins += [Bin(f"{b}->{name}_raw_hazard", g.all_of([seen, x, hazard])) for b, x in before.items()]
    return bins


WORKS: dict[str, Row] = {
    "decoder": {"work": "Ibex decoder, 2107 bins", "known": "1239 (GPT-3.5, best); 1157 (uniform, 1 M words)", "aim": "2042 + 65 unreachable, <= 15 CPU-s", "make": decoder},
    "stride": {"work": "stride detector, 1024 bins", "known": "560 (GPT-3.5, best)", "aim": "1024", "make": stride},
    "cpu": {"work": "Ibex CPU, 196 bins", "known": "196 (Claude 3.5, 168k tokens or more)", "aim": "196", "make": cpu},
    "adjacent": {"work": "Ibex CPU, 196 bins, hazards in adjacent cycles", "known": "none", "aim": "each bin decided", "make": partial(cpu, adjacent=True)},
}  # fmt: skip


def rows(data: Path, only: Sequence[str] = (), seed: int = 0, seconds: float = 60.0) -> Iterator[Row]:
    """A row for each work, each measured in a process of its own, so that its processor time is all that it took, Python's start included."""
    for name in only or WORKS:
        begun, spent = time.monotonic(), _children()
        command = [sys.executable, __file__, "--data", str(data), "--one", name, "--seed", str(seed), "--seconds", str(seconds)]  # fmt: skip
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        work = {k: WORKS[name][k] for k in ("work", "known", "aim")}
        times = {"cpu_seconds": round(_children() - spent, 2), "seconds": round(time.monotonic() - begun, 2)}
        yield work | json.loads(said) | times


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def one(name: str, data: Path, seed: int, seconds: float) -> Row:
    made, bins = WORKS[name]["make"](data)
    return _measured(close(made, bins, seconds=seconds, seed=seed))


def _measured(closure: Closure) -> Row:
    n = closure.as_json()
    text = f"{n['covered']} covered + {n['unreachable']} unreachable + {n['undecided']} undecided of {n['total']}, 0 tokens"
    return {
        "measured": text, **n, "lucky": len(closure.lucky), "stimuli": len(closure.stimuli), "cycles": sum(map(len, closure.stimuli)),
        "closing_cpu_seconds": round(closure.cpu_seconds, 2), "notes": list(closure.notes), "unreachable_bins": sorted(closure.unreachable)[:40],
        "undecided_bins": sorted(closure.undecided)[:40],
    }  # fmt: skip


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", default="", help=f"of {', '.join(WORKS)}")
    parser.add_argument("--one", default="", choices=["", *WORKS], help="one work in this process, as JSON")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0)


def chosen_rows(chosen: argparse.Namespace) -> Iterator[Row]:
    if chosen.one:
        print(json.dumps(one(chosen.one, chosen.data, chosen.seed, chosen.seconds)))
        return
    yield from rows(chosen.data, [w for w in chosen.only.split(",") if w], chosen.seed, chosen.seconds)


if __name__ == "__main__":
    part(__doc__, chosen_rows, _options)
