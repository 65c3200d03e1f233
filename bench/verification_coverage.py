"""Coverage closure on LLM4DV's three designs (Zhang et al., 2023), with bins as its test benches define them, and no language model.

    python bench/verification_coverage.py --data FOLDER [--only decoder,stride,cpu] [--seed N]

FOLDER holds a checkout of github.com/ZixiBenZhang/ml4dv as `ml4dv`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerf.verification.coverage import Bin, Closure, close, cross, value_bins, word
from kerf.verification.design import Source, load, read
from kerf.verification.graph import Graph
from kerf.verification.model import Model, model

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


WORKS: dict[str, dict[str, Any]] = {
    "decoder": {"work": "Ibex decoder, 2107 bins", "known": "1239 (GPT-3.5, best); 1157 (uniform, 1 M words)", "aim": "2042 + 65 unreachable, <= 15 CPU-s", "make": decoder},
    "stride": {"work": "stride detector, 1024 bins", "known": "560 (GPT-3.5, best)", "aim": "1024", "make": stride},
}  # fmt: skip


def rows(
    data: Path, only: list[str] | None = None, seed: int = 0, seconds: float = 60.0
) -> Iterator[dict[str, Any]]:
    for name in only or WORKS:
        work = WORKS[name]
        begun, cpu = time.monotonic(), time.process_time()
        made, bins = work["make"](data)
        prepared = time.process_time() - cpu
        closure = close(made, bins, seconds=seconds, seed=seed)
        yield (
            {k: work[k] for k in ("work", "known", "aim")}
            | _measured(closure, prepared)
            | {"seconds": round(time.monotonic() - begun, 2)}
        )


def _measured(closure: Closure, prepared: float) -> dict[str, Any]:
    n = closure.as_json()
    text = f"{n['covered']} covered + {n['unreachable']} unreachable + {n['undecided']} undecided of {n['total']}, 0 tokens"
    cycles = sum(map(len, closure.stimuli))
    return {
        "measured": text, **n, "stimuli": len(closure.stimuli), "cycles": cycles, "cpu_seconds": round(prepared + closure.cpu_seconds, 2),
        "notes": list(closure.notes),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = []
    for row in rows(args.data, [w for w in args.only.split(",") if w], args.seed, args.seconds):
        found.append(row)
        print(
            f"{row['work']}: {row['measured']}; {row['cpu_seconds']} CPU-s, {row['seconds']} s; {row['stimuli']} stimuli, {row['cycles']} cycles"
        )
        for note in row["notes"]:
            print("   ", note)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
