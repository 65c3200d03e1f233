"""The report of a verification run as one self-contained page: no network, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from kerf.core.records import Trial
from kerf.report.document import document, heading, section
from kerf.report.facts import facts, grid
from kerf.report.markup import Markup, join, tag
from kerf.verification.evaluator import VerificationEvaluator
from kerf.verification.trace import Trace, replay
from kerf.verification.waves import waves

COLOURS = {
    "proved": "passed",
    "refuted": "rejected",
    "undecided": "wrong",
    "covered": "passed",
    "killed": "passed",
}
MOST_SIGNALS = 24
MOST_ROWS = 400
_section = partial(section, wide=True)


def page(report: Mapping[str, Any], evaluator: VerificationEvaluator, trials: Sequence[Trial]) -> str:
    """`report` is the JSON of the run. What a design says is escaped, and the page allows no script."""
    starts = {str(t.evaluation.detail.get("name")): t.evaluation.detail.get("start", {}) for t in trials}
    sections = [
        _assertions(report),
        *(_counterexample(row, evaluator, starts) for row in report["assertions"] if row["trace"]),
        _coverage(report["coverage"]),
        _mutants(report["mutants"]),
        _mined(report["mined"]),
        _notes(report),
    ]
    return document(f"{report['design']}: kerf run {report['run']}", _header(report), sections)


def _header(report: Mapping[str, Any]) -> Markup:
    verdicts = [row["verdict"] for row in report["assertions"]]
    tiles = {
        v: f"{verdicts.count(v)} of {len(verdicts)}" for v in ("proved", "refuted", "undecided") if verdicts
    }
    if coverage := report["coverage"]:
        tiles["bins decided"] = f"{coverage['covered'] + coverage['unreachable']} of {coverage['total']}"
    if mutants := report["mutants"]:
        tiles["mutants killed"] = f"{mutants['killed']} of {mutants['total'] - mutants['equivalent']}"
    tiles |= {"mined": str(len(report["mined"])), "time": f"{report['seconds']:.1f} s", "run": report["run"]}
    clocked = f"clock {report['clock'] or 'none'}, reset {report['reset'] or 'none'}"
    return heading([report["design"]], [clocked], tiles)


def _pill(word: str) -> Markup:
    return tag("span", word, class_=f"pill c-{COLOURS.get(word, 'wrong')}")


def _assertions(report: Mapping[str, Any]) -> Markup | None:
    if not report["assertions"]:
        return None
    rows = []
    for row in report["assertions"]:
        how = f"{row['engine']}, cycle {row['depth']}" if row["depth"] >= 0 else row["engine"]
        remark = "its condition is never met" if row.get("vacuous") else ", ".join(row.get("tried", []))
        rows.append(
            (
                tag("code", row["name"]),
                _pill(row["verdict"]),
                how,
                "" if row.get("kills") is None else row["kills"],
                remark,
                tag("code", row["text"]),
                row["source"],
            )
        )
    columns = ("assertion", "verdict", "how", "mutants killed", "", "property", "source")
    listed = grid(columns, rows, numeric=("mutants killed",))
    return _section("Assertions", tag("div", listed, class_="scroll"))


def _counterexample(
    row: Mapping[str, Any], evaluator: VerificationEvaluator, starts: Mapping[str, Any]
) -> Markup:
    start = {int(k): v for k, v in starts.get(row["name"], {}).items()}
    trace = Trace(tuple(row["trace"]), start)
    model = evaluator.model
    names = chosen(evaluator, row["text"])
    drawn = waves(
        replay(model, trace, names), {n: len(model.graph.signals[n].bits) for n in names}, len(trace) - 1
    )
    small = f"violated in cycle {len(trace) - 1} (set off); values in hexadecimal"
    return _section(f"Counterexample of {row['name']}", tag("div", drawn, class_="scroll"), small=small)


def chosen(evaluator: VerificationEvaluator, text: str) -> list[str]:
    """The signals that a waveform shows: those the property names, then ports, then registers at the top."""
    signals = evaluator.model.graph.signals
    named = [n for n in signals if n in text]
    ports = [p.name for p in evaluator.problem.design.ports if p.name in signals]
    state = [n for n, s in signals.items() if s.kind == "register" and "." not in n and "[" not in n]
    order = dict.fromkeys(
        n for n in [*named, *ports, *state] if n != evaluator.model.clock and "kerf_" not in n
    )
    return list(order)[:MOST_SIGNALS]


def _coverage(found: Mapping[str, Any] | None) -> Markup | None:
    if not found:
        return None
    kinds = grid(
        ("kind", "bins", "covered", "unreachable", "undecided"),
        [tuple(k.values()) for k in found.get("kinds", [])],
    )
    open_ones = [
        (b["name"], b["kind"], b["source"], _pill(b["status"]))
        for b in found.get("bins", [])
        if b["status"] != "covered"
    ]
    listed = grid(("bin", "kind", "source", "verdict"), open_ones[:MOST_ROWS]) if open_ones else None
    small = f"{found['covered']} covered, {found['unreachable']} proved unreachable, {found['undecided']} undecided of {found['total']}"
    return _section("Coverage", kinds, tag("div", listed, class_="scroll") if listed else None, small=small)


def _mutants(found: Mapping[str, Any] | None) -> Markup | None:
    if not found:
        return None
    small = f"{found['killed']} killed, {found['equivalent']} proved equivalent, {found['survived']} survived of {found['total']}"
    shown = [
        join(tag("p", m["mutant"], _noticed(m)), tag("pre", _diff(m["diff"])))
        for m in found.get("survivors", [])[:50]
    ]
    return _section("Mutants that no test kills", *shown, small=small)


def _noticed(survivor: Mapping[str, Any]) -> Markup | None:
    names = survivor.get("assertions", ())
    return join(" (breaks ", tag("code", ", ".join(names)), ")") if names else None


def _diff(text: str) -> Markup:
    style = {"+": "add", "-": "del", "@": "at"}
    return join(*(tag("span", line, class_=style.get(line[:1])) for line in text.splitlines()))


def _mined(found: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not found:
        return None
    rows = [(m["kills"], tag("code", m["sva"])) for m in found]
    return _section(
        "Mined assertions",
        grid(("mutants killed", "assertion"), rows, numeric=("mutants killed",)),
        small="each proved",
    )


def _notes(report: Mapping[str, Any]) -> Markup:
    told = {str(i + 1): text for i, text in enumerate([*report["notes"], *report["warnings"]])}
    return _section("What was assumed, and the compiler's warnings", facts(told))
