"""Results of the placement verbs as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Result = Mapping[str, Any]


def score(result: Result) -> str:
    unit = {"bookshelf": "unit"}.get(result["unit"], result["unit"])
    proxy = result["proxy"]
    lines = [
        f"design       {result['design']}: {result['cells']:,} cells, {result['nets']:,} nets, {result['pins']:,} pins",
        f"wirelength   {result['hpwl']:,.6g} {unit} (HPWL)"
        if result["hpwl"] < 1000
        else f"wirelength   {result['hpwl']:,.1f} {unit} (HPWL)",
    ]
    if proxy:
        terms = f"wirelength {proxy['wirelength']:.6f} + 0.5 density {proxy['density']:.6f} + 0.5 congestion {proxy['congestion']:.6f}"
        lines.append(f"proxy cost   {proxy['cost']:.6f} = {terms}")
    peaks = result["peaks"]
    lines.append(
        f"peaks        density {peaks['density']:.2f}, wire {peaks['rudy']:.3g} per {unit} (RUDY), pins {peaks['pins']:.3g} per square {unit}"
    )
    lines.append(f"legal        {'yes' if result['legal'] else 'no'}")
    return "\n".join(lines + [_violation(v) for v in result["violations"]])


def draw(result: Result) -> str:
    return f"{result['output']}: {result['design']}, {result['width']} x {result['height']} pixels"


def _violation(violation: Mapping[str, Any]) -> str:
    shown = ", ".join(" and ".join(e) if isinstance(e, list) else e for e in violation["examples"])
    more = ", ..." if violation["count"] > len(violation["examples"]) else ""
    return f"  broken     {violation['rule']}: {violation['count']:,} ({shown}{more})"
