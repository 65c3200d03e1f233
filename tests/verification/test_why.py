"""Why a signal has its value, and the runs that users bring."""

from __future__ import annotations

from pathlib import Path

import pytest
from designs import COUNTER, FIFO, design
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf.core.types import KerfError
from kerf.verification.model import model
from kerf.verification.tables import number, read_table
from kerf.verification.trace import Trace, as_csv, as_vcd, replay
from kerf.verification.why import explain

FULL = Trace(tuple({"push": 1, "pop": int(t == 0), "din": t} for t in range(5)))


def test_a_full_fifo_is_full_because_of_four_pushes_and_no_pop() -> None:
    made = model(design(FIFO))
    found = explain(made, FULL, "full", 4)
    assert [r.signal for r in found.reasons][:2] == ["full", "count"]
    pushes = [(t, n) for t, row in enumerate(found.needed) for n in row if n == "push"]
    assert pushes == [(t, "push") for t in range(4)]
    assert not any("din" in row for row in found.needed)  # what was pushed does not matter
    assert "pop" not in found.needed[0]  # it was empty: a pop does nothing
    assert any("design.sv:" in line for r in found.reasons if r.signal == "count" for line in r.lines)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 15)), min_size=1, max_size=8), st.data()
)
def test_inputs_outside_the_slice_do_not_matter(
    rows: list[tuple[bool, bool, int]], data: st.DataObject
) -> None:
    """Every input bit that the slice leaves out is drawn again; the signal keeps its value."""
    made = MADE
    trace = Trace(tuple({"push": int(a), "pop": int(b), "din": c} for a, b, c in rows))
    time = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(["full", "empty", "count", "dout", "tail"]))
    found = explain(made, trace, name, time)
    widths = {"push": 1, "pop": 1, "din": 4}
    other = []
    for t, row in enumerate(trace.inputs):
        masks = found.needed[t] if t < len(found.needed) else {}
        drawn = {n: data.draw(st.integers(0, 2**w - 1)) for n, w in widths.items()}
        other.append({n: row[n] & masks.get(n, 0) | drawn[n] & ~masks.get(n, 0) for n in widths})
    assert replay(made, Trace(tuple(other)), [name])[time] == replay(made, trace, [name])[time]


MADE = model(design(FIFO))


def test_unknown_names_and_times_are_refused_with_the_nearest() -> None:
    with pytest.raises(KerfError, match="did you mean full"):
        explain(MADE, FULL, "ful", 1)
    with pytest.raises(KerfError, match="cycles 0 to 4"):
        explain(MADE, FULL, "full", 9)


def test_a_run_survives_csv_and_vcd(tmp_path: Path) -> None:
    rows = replay(MADE, FULL)
    names = ["push", "pop", "din", "full", "count"]
    for suffix, text in (("csv", as_csv(rows, names)), ("vcd", as_vcd(MADE, rows, ["clk", *names]))):
        path = tmp_path / f"run.{suffix}"
        path.write_text(text)
        table = read_table(path, MADE)
        assert [dict(r) for r in table.inputs] == [dict(r) for r in FULL.inputs]
        assert [r["count"] for r in table.expected] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("text", "value"), [("12", 12), ("0x1f", 31), ("4'b1010", 10), ("8'hfF", 255), ("x", None), ("4'b1x", None), ("", None), ("z", None), ("-", None), ("0xx", None), ("-3", -3)])  # fmt: skip
def test_numbers(text: str, value: int | None) -> None:
    assert number(text) == value


@pytest.mark.parametrize(("text", "words"), [("go,nothing\n1,2\n", "1: no port"), ("go,n\n1\n", "2: 1 cells"), ("go\nzwei\n", "2, go: 'zwei'"), ("go\n", "no cycle")])  # fmt: skip
def test_tables_that_are_wrong_are_refused_with_their_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(KerfError, match=words):
        read_table(path, model(design(COUNTER)))
