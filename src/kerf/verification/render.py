"""What the verification verbs print for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerf.core.verb import Result
from kerf.report import table

MOST = 40


def verify(result: Result) -> str:
    parts = [_head(result)]
    if result["assertions"]:
        parts.append(table([_assertion(row) for row in result["assertions"]]))
    if c := result["coverage"]:
        parts.append(
            f"coverage: {c['covered']} of {c['total']} bins covered, {c['unreachable']} proved unreachable, {c['undecided']} undecided"
            + (f" ({c['lucky']} only for some initial values)" if c.get("lucky") else "")
        )
    if m := result["mutants"]:
        parts.append(
            f"mutants: {m['killed']} of {m['total']} killed, {m['equivalent']} proved equivalent, {m['survived']} survived"
        )
    if result["mined"]:
        parts.append(table([{"kills": m["kills"], "proved": m["sva"]} for m in result["mined"][:MOST]]))
    parts += [f"note: {n}" for n in result["notes"]]
    parts += [f"report: {result['report']}   ({result['seconds']:.1f} s, run {result['run']})"]
    return "\n".join(parts)


def _head(result: Result) -> str:
    return f"{result['design']}: clock {result['clock'] or 'none'}, reset {result['reset'] or 'none'}"


def _assertion(row: Mapping[str, Any]) -> dict[str, Any]:
    depth = f"cycle {row['depth']}" if row["verdict"] == "refuted" else ""
    how = row["engine"] + (", vacuous: its condition is never met" if row.get("vacuous") else "")
    return {
        "assertion": row["name"],
        "verdict": row["verdict"],
        "how": how,
        "where": depth,
        "mutants killed": "" if row.get("kills") is None else row["kills"],
        "source": _place(row["source"]),
    }


def _place(source: str) -> str:
    """The file's name and the line."""
    file, _, line = source.rpartition(":")
    return f"{Path(file).name}:{line.partition('.')[0]}" if file else source


def why(result: Result) -> str:
    lines = [f"{result['signal']} = {result['value']} in cycle {result['at']}, because:"]
    rows = [
        {
            "cycle": r["time"],
            "signal": r["signal"],
            "value": f"{r['value']:x}",
            "because of": ", ".join(f"{n}@{t}" for n, t in r["because"]) or r["origin"],
            "assigned at": ", ".join(map(_place, r["lines"][:3])) or _place(r["source"]),
        }
        for r in result["reasons"][:MOST]
    ]
    lines.append(table(rows))
    if len(result["reasons"]) > MOST:
        lines.append(f"... and {len(result['reasons']) - MOST} more (--json has all)")
    lines.append(f"inputs that matter: {_needed(result['needed'])}")
    return "\n".join(lines)


def _needed(needed: Sequence[Mapping[str, Any]]) -> str:
    said = [f"{name}@{t}={value}" for t, row in enumerate(needed) for name, value in row.items()]
    return ", ".join(said[:MOST]) + (", ..." if len(said) > MOST else "") if said else "none"


def equiv(result: Result) -> str:
    bound = f" in the first {result['bound']} cycles" if result["bound"] else ""
    lines = [
        f"{result['a']} and {result['b']}: {result['verdict']}{bound} ({result['engine']}, {result['seconds']:.2f} s)"
    ]
    if result["trace"]:
        lines += [
            f"outputs that differ in the last cycle (A/B): {', '.join(result['outputs'])}",
            table(result["trace"]),
        ]
    return "\n".join([*lines, *(f"note: {n}" for n in result["notes"])])


def graded(row: Mapping[str, Any]) -> str:
    """One answer's line."""
    what = f"{row['problem']}: {row['answer']}" if "problem" in row else row["task"]
    return f"{what}: {row.get('grade') or row['verdict']} ({row['seconds']:.2f} s) {row['why']}".rstrip()


def judge(result: Result) -> str:
    return f"{result['total']} answers: " + ", ".join(
        f"{n} {grade}" for grade, n in sorted(result["counts"].items())
    )


def asserted(result: Result) -> str:
    lines = [result["sva"]]
    lines += [f"{word!r} is taken for {name}" for word, name in result["resolved"].items()]
    lines += [*result["remarks"], _assertion(result)["verdict"] + _how(result)]
    return "\n".join([*lines, *(f"note: {n}" for n in result["notes"]), f"report: {result['report']}"])


def _how(row: Mapping[str, Any]) -> str:
    if row["verdict"] == "refuted":
        return f" in cycle {row['depth']}: `kerf why SIGNAL` explains"
    if row["verdict"] == "undecided":
        return f": no violation in {max(row['depth'], 0)} cycles; tried {', '.join(row.get('tried', []))}"
    return f" by {row['engine']}" + (
        ", but vacuous: its condition is never met" if row.get("vacuous") else ""
    )


def repair(result: Result) -> str:
    if result["passes"]:
        return f"{result['design']} already does what is wanted ({result['seconds']:.1f} s)"
    if not result["repairs"]:
        why_not = (
            "no change of any template would do" if result["exhausted"] else "none found in the time given"
        )
        return "\n".join(
            [f"no repair: {why_not} ({result['seconds']:.1f} s)", *(f"note: {n}" for n in result["notes"])]
        )
    lines = []
    for number, found in enumerate(result["repairs"], 1):
        lines += [
            f"repair {number}, {found['status']}: {'; '.join(found['changes'])}",
            found["diff"].rstrip(),
            "",
        ]
        lines += [f"note: {n}" for n in found["notes"]]
    lines += [f"note: {n}" for n in result["notes"]]
    lines += [f"written: {', '.join(result['written'])}"] if result["written"] else []
    count = len(result["repairs"])
    return "\n".join([*lines, f"{count} repair{'s' * (count != 1)} in {result['seconds']:.1f} s"])
