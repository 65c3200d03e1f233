"""Results of the placement verbs as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerf.proposers.agent.render import spent

Result = Mapping[str, Any]


def score(result: Result) -> str:
    return "\n".join([*_measured(result), *_notes(result)])


def _notes(result: Result) -> list[str]:
    return [f"note         {note}" for note in result["notes"]]


def _measured(result: Result) -> list[str]:
    unit = _unit(result)
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
        f"peaks        density {peaks['density']:.2f}, wire {peaks['rudy']:.3g} per {unit} (RUDY; {peaks['congestion']:.3g} on the fullest bins), pins {peaks['pins']:.3g} per square {unit}"
    )
    lines.append(f"legal        {'yes' if result['legal'] else 'no'}")
    return lines + [_violation(v) for v in result["violations"]]


def place(result: Result) -> str:
    unit = _unit(result)
    lines = [
        *_measured(result),
        f"time         {result['seconds']:.1f} s, {result['cpu_seconds']:.1f} s of CPU, {_counted(result['recipes'], 'recipe')}",
    ]
    if result["output"]:
        lines += [f"placement    {result['output']}", f"picture      {result['picture']}"]
    lines += spent(result)
    lines += [f"report       {result['report']}"] if result["report"] else []
    lines += _notes(result)
    if result["status"] != "legal":
        lines.append(
            f"THIS PLACEMENT IS NOT USABLE: {result['status'].replace('_', ' ')}, as listed above ({unit})"
        )
    if result["run"] and result["stopped"] == "interrupted":
        lines.append(f"Stopped early. Go on with: kerf resume {result['run']}")
    elif result["run"]:
        lines.append(
            f"run          {result['run']} (kerf draw DESIGN --animate {result['run']} shows the way)"
        )
    return "\n".join(lines)


def _unit(result: Result) -> str:
    return {"bookshelf": "unit"}.get(result["unit"], str(result["unit"]))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def draw(result: Result) -> str:
    frames = f", {result['frames']} frames" if "frames" in result else ""
    shown = f", map {result['map']}" if result.get("map", "none") != "none" else ""
    return f"{result['output']}: {result['design']}{shown}, {result['width']} x {result['height']} pixels{frames}"


def diff(result: Result) -> str:
    unit = _unit(result)
    share = result["moved"] / max(result["cells"], 1)
    lines = [
        f"{result['design']}: {result['moved']:,} of {result['cells']:,} cells moved ({share:.0%}), by {result['mean_displacement']:,.4g} {unit} on average, {result['max_displacement']:,.4g} at most; {result['turned']:,} turned",
        f"legal        {' -> '.join('yes' if x else 'no' for x in result['legal'])}",
        *(_change(name, *pair) for name, pair in result["metrics"].items()),
        f"nets         {result['nets_shorter']:,} shorter, {result['nets_longer']:,} longer",
        *(_movement(m) for m in result["movers"]),
        *(f"  longer     {n['net']}: {n['before']:,.4g} -> {n['after']:,.4g}" for n in result["longer"]),
        *(f"  shorter    {n['net']}: {n['before']:,.4g} -> {n['after']:,.4g}" for n in result["shorter"]),
    ]
    return "\n".join([*lines, *([f"picture      {result['output']}"] if result["output"] else [])])


def _change(name: str, before: float, after: float) -> str:
    if before == after:
        return f"{name:<12} {before:,.6g}, the same"
    share = (
        f" ({(after - before) / abs(before):+.2%}, {'better' if after < before else 'worse'})"
        if before
        else ""
    )
    return f"{name:<12} {before:,.6g} -> {after:,.6g}{share}"


def _movement(mover: Mapping[str, Any]) -> str:
    (x0, y0, o0), (x1, y1, o1) = mover["from"], mover["to"]
    return f"  moved      {mover['cell']} ({mover['kind']}): {x0:,.4g}, {y0:,.4g} {o0} -> {x1:,.4g}, {y1:,.4g} {o1}, {mover['distance']:,.4g}"


def _violation(violation: Mapping[str, Any]) -> str:
    shown = ", ".join(" and ".join(e) if isinstance(e, list) else e for e in violation["examples"])
    more = ", ..." if violation["count"] > len(violation["examples"]) else ""
    return f"  broken     {violation['rule']}: {violation['count']:,} ({shown}{more})"
