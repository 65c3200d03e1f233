"""Stimulus that others can run: tables that read back, testbenches and cocotb tests that are well formed and expect what is certain, no more."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from designs import COUNTER, FIFO, design

from kerf.core.types import KerfError
from kerf.verification.coverage import Bin, close, export, measure, value_bins, word
from kerf.verification.design import Source, read
from kerf.verification.model import Model, model
from kerf.verification.tables import read_table
from kerf.verification.trace import Trace


def fifo() -> tuple[Model, list[Bin]]:
    made = model(design(FIFO))
    return made, value_bins(made.graph, "count", word(made.graph, "count"), range(8))


def test_an_exported_table_covers_as_much_when_it_is_read_back(tmp_path: Path) -> None:
    made, bins = fifo()
    found = close(made, bins, seconds=10)
    tests = []
    for i, run in enumerate(found.stimuli):
        (tmp_path / f"{i}.csv").write_text(export.table(made, run))
        read_back = read_table(tmp_path / f"{i}.csv", made)
        assert [dict(row) for row in read_back.inputs] == [{**dict.fromkeys(made.inputs, 0), **row} for row in run.inputs]  # fmt: skip
        tests.append(read_back.trace())
    assert set(measure(made, bins, tests)) == set(found.covered)


def test_existing_tests_are_measured_and_closure_starts_from_them() -> None:
    made, bins = fifo()
    pushes = Trace(({"push": 1},) * 3)
    assert {n: h.cycle for n, h in measure(made, bins, [pushes]).items()} == {
        f"count[{i}]": i for i in range(3)
    }
    found = close(made, bins[:3], seconds=5, tests=[pushes])
    assert set(found.covered) == {b.name for b in bins[:3]} and found.notes[0].startswith(
        "simulation: 3 of 3"
    )


def test_a_testbench_compiles_with_its_design_and_holds_each_cycle() -> None:
    for text in (FIFO, COUNTER):
        made = model(design(text))
        runs = [Trace(({made.inputs[0]: 1},) * 5), Trace(({made.inputs[-1]: 1},) * 2)]
        bench = export.testbench(made, runs)
        read([Source("design.sv", text), Source("tb.sv", bench)], top="tb")
        assert bench.count("    cycle(") == 7
        assert bench.count(f"{made.reset.name} = {made.reset.active};") == 2 if made.reset else False


def test_outputs_that_depend_on_unknowns_are_not_expected() -> None:
    made = model(design(FIFO))
    push = {"push": 1, "din": 5}
    seen = [c.expected["dout"] for c in export.cycles(made, Trace((push, {}, {"pop": 1}, {})))]
    assert [mask for _, mask in seen] == [0, 15, 15, 0]  # the store has no reset
    assert seen[1] == (5, 15)
    rows = export.table(made, Trace((push, {}))).splitlines()
    assert rows[1].split(",")[len(made.inputs) + made.outputs.index("dout")] == "x"


def test_a_cocotb_test_is_python_that_holds_the_runs() -> None:
    made = model(design(COUNTER))
    text = export.cocotb_test(made, [Trace(({"go": 1},) * 3), Trace(({"go": 0},))])
    tree = ast.parse(text)
    values = {t.id: n.value for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}  # fmt: skip
    runs = ast.literal_eval(values["RUNS"])
    assert [len(r) for r in runs] == [3, 1]
    assert [outputs[0] for _, outputs in runs[0]] == [(0, 15), (1, 15), (2, 15)]


def test_several_runs_without_a_reset_are_refused() -> None:
    text = (
        "module m(input clk, input d, output reg q); initial q = 0; always @(posedge clk) q <= d; endmodule"
    )
    made = model(design(text))
    run = Trace(({"d": 1},))
    assert "cycle(" in export.testbench(made, [run])
    with pytest.raises(KerfError, match="one at a time"):
        export.cocotb_test(made, [run, run])


@pytest.mark.parametrize(
    "text",
    [
        "module m(input clk, rst, output reg [3:0] n); always @(posedge clk) if (rst) n <= 0; else n <= n + 1; endmodule",
        "module m(output y); assign y = 1; endmodule",
        "module m(input a, output y); assign y = a; endmodule",
    ],
)
def test_designs_without_inputs_state_or_bins_are_closed_too(text: str) -> None:
    made = model(design(text))
    bits = next(s.bits for s in made.graph.signals.values() if s.kind == "output")
    bins = value_bins(made.graph, "v", bits, range(1 << len(bits)))
    found = close(made, bins, seconds=5)
    assert not found.undecided and len(found.covered) in (1, 2, 16)
    assert close(made, [], seconds=1).as_json()["total"] == 0
