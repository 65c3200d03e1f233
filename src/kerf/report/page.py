"""One run as one self-contained page: no network, no script."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kerf.core.records import Trial
from kerf.core.types import Candidate, Evaluation, Metric, Status
from kerf.report import charts
from kerf.report.document import document, heading, section
from kerf.report.facts import brief, facts, grid
from kerf.report.markup import Markup, tag
from kerf.report.tree import tree
from kerf.report.turns import conversation, summary
from kerf.report.view import Records, View, parent_of, view_of
from kerf.report.winner import source

MOST_ROWS = 500


def html(run_id: str, archive: Records) -> str:
    """The page of a run (its id, or an unambiguous beginning). Everything that a candidate wrote is escaped, and the page allows no
    script and no network in any case."""
    view = view_of(archive, run_id)
    sections = [
        _speedups(view),
        _roofline(view),
        *_charts(view),
        _verdict(view),
        _actions(view),
        _tree(view),
        source(view),
        _candidates(view),
        _conversation(view),
        _environment(view),
        _provenance(view),
    ]
    return document(f"{view.run.problem_name}: kerf run {view.run.id}", _header(view), sections)


# Header


def _header(view: View) -> Markup:
    run = view.run
    measured = sum(not t.reused for t in view.trials)
    reused = len(view.trials) - measured
    tiles = {
        "evaluations": f"{measured}" + (f" + {reused} known" if reused else ""),
        "search time": _duration(run.seconds),
        "passed": f"{sum(t.evaluation.status is Status.PASSED for t in view.trials)} of {len(view.trials)}",
        "proposer": f"{run.proposer}, seed {run.seed}",
        "winner by": view.best.candidate.proposer if view.best else "-",
        "run": run.id,
    }
    point = charts.usable_roofline(view.verdict.detail) if view.verdict else None
    if point:
        tiles = {"of the roofline": f"{charts.roof_share(point):.0%}", **tiles}
    started = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(run.created))
    return heading([run.problem_name, " ", _pill(view)], [f"{started}. {run.state}.", _headline(view)], tiles)


def _pill(view: View) -> Markup:
    if view.verdict is None:
        return tag("span", "nothing passed", class_="pill c-rejected")
    again = "measured again in a fresh process" if _ratios(view.verdict) else "measured again"
    words = f"{view.verdict.status}, {again if view.confirmed else 'not confirmed yet'}"
    return tag("span", words, class_=f"pill c-{view.verdict.status if view.confirmed else Status.WRONG}")


def _headline(view: View) -> Markup:
    found = list(_ratios(view.verdict).items())
    if found:
        name, metric = found[0]
        interval = (
            f" [{metric.low:.2f}, {metric.high:.2f}]"
            if metric.low is not None and metric.high is not None
            else ""
        )
        return tag(
            "p",
            f"{metric.value:.2f}x ",
            tag("small", f"{name}{interval}, 95 % interval" if interval else name),
            class_="headline",
        )
    if view.verdict is None:
        return tag("p", "No candidate passed", class_="headline")
    if "headline" in view.verdict.detail:
        return tag("p", view.verdict.headline, class_="headline")
    return tag("p", f"{view.verdict.score:.3g} ", tag("small", "score"), class_="headline")


def _ratios(evaluation: Evaluation | None) -> dict[str, Metric]:
    """Metrics in the unit "x": `speedup.eager` is shown as "over eager"."""
    metrics = evaluation.metrics if evaluation else {}
    return {_named(name): m for name, m in metrics.items() if m.unit == "x" and m.value > 0}


def _named(name: str) -> str:
    for start in ("speedup.", "speedup_"):
        if name.startswith(start):
            return f"over {name.removeprefix(start)}"
    return name


# Charts


def _charts(view: View) -> list[Markup]:
    if not view.trials:
        return [section("Search", tag("p", "No candidate was evaluated.", class_="soft"), wide=True)]
    what = "Speed-up" if _ratios(view.verdict) else "Score"
    over_evaluations = charts.progress(view.trials, over_time=False, what=what.lower())
    return [
        section(f"{what} over evaluations", over_evaluations, _legend(view)),
        section(f"{what} over search time", charts.progress(view.trials, over_time=True, what=what.lower())),
    ]


def _legend(view: View) -> Markup:
    counts = {status: sum(t.evaluation.status is status for t in view.trials) for status in Status}
    entries = [
        tag(
            "span",
            tag("svg", tag("circle", cx=5, cy=5, r=5, class_=f"s-{s}"), viewBox="0 0 10 10"),
            f"{s.replace('_', ' ')} {n}",
        )
        for s, n in counts.items()
        if n
    ]
    return tag("div", *entries, class_="legend")


def _speedups(view: View) -> Markup | None:
    ratios = _ratios(view.verdict)
    return (
        section("Against each baseline", charts.speedups(ratios), small="median and 95 % interval")
        if ratios
        else None
    )


def _roofline(view: View) -> Markup | None:
    point = charts.usable_roofline(view.verdict.detail) if view.verdict else None
    if point is None:
        return None
    others = [p for t in view.trials if (p := charts.usable_roofline(t.evaluation.detail))]
    return section("Roofline", charts.roofline(point, others), small="dots: the other candidates that passed")


def _tree(view: View) -> Markup | None:
    if not view.trials:
        return None
    drawn = tag("div", tree(view.trials, view.best.candidate.id if view.best else None), class_="scroll")
    return section(
        "Candidates",
        drawn,
        _legend(view),
        small="parents above children; the winner's ancestry is drawn strong",
        wide=True,
    )


# Verdict and decisions


def _verdict(view: View) -> Markup:
    if view.verdict is None:
        reasons = [
            (t.candidate.id[:8], str(t.evaluation.status), t.evaluation.reason[:300])
            for t in view.trials[:20]
        ]
        return section("Verdict", grid(("candidate", "status", "why"), reasons))
    told: dict[str, Any] = {
        "status": str(view.verdict.status),
        "reason": view.verdict.reason or "-",
        "score": view.verdict.score,
    }
    told |= {name: _metric(m) for name, m in view.verdict.metrics.items()}
    detail = {
        k: v
        for k, v in view.verdict.detail.items()
        if k not in ("roofline", "provenance", "tolerance", "error", "headline", "placement")
    }
    errors = {k: view.verdict.detail[k] for k in ("error", "tolerance") if k in view.verdict.detail}
    return section(
        "Verdict",
        facts(told),
        tag("h2", "Error and tolerance") if errors else None,
        facts(errors) if errors else None,
        tag(
            "details",
            tag("summary", "Evidence: all that was recorded"),
            tag("div", facts(detail), class_="scroll"),
        )
        if detail
        else None,
        small="the confirmation" if view.confirmed else "as measured in the search",
    )


def _metric(metric: Metric) -> str:
    interval = (
        f" [{metric.low:.4g}, {metric.high:.4g}]"
        if metric.low is not None and metric.high is not None
        else ""
    )
    return f"{metric.value:.4g}{interval} {metric.unit}, {metric.source}"


def _actions(view: View) -> Markup | None:
    if view.best is None or not (chosen := actions_of(view.best.candidate)):
        return None
    first = next((a for t in view.trials if (a := actions_of(t.candidate))), {})
    parent = parent_of(view)
    before = actions_of(parent.candidate) if parent else {}
    columns = ["decision", "winner", "first tried", *(["parent"] if before else [])]
    rows = [
        [
            name,
            _changed(value, first.get(name, value)),
            first.get(name),
            *([before.get(name)] if before else []),
        ]
        for name, value in chosen.items()
    ]
    return section(
        "Schedule",
        tag("div", grid(columns, rows), class_="scroll"),
        small="coloured: differs from the first one tried",
    )


def actions_of(candidate: Candidate) -> Mapping[str, Any]:
    """The decisions behind a candidate: its notes' schedule (a mapping, or a list of words "name=value"), else its point."""
    for key in ("schedule", "actions", "point"):
        found = candidate.notes.get(key)
        if isinstance(found, Mapping) and found:
            return found
        if isinstance(found, Sequence) and not isinstance(found, str) and found:
            return dict(str(a).partition("=")[::2] for a in found)
    return {}


def _changed(value: Any, before: Any) -> Markup:
    return tag("b", brief(value), class_="changed") if value != before else tag("span", brief(value))


def _candidates(view: View) -> Markup | None:
    if not view.trials:
        return None
    best = view.best.candidate.id if view.best else None
    rows = [_row(i, t) for i, t in enumerate(view.trials[:MOST_ROWS])]
    columns = ("#", "candidate", "parent", "proposer", "status", "score", "s", "why")
    chosen = next((i for i, t in enumerate(view.trials) if t.candidate.id == best), None)
    table = tag("div", grid(columns, rows, ("#", "score", "s"), chosen), class_="scroll")
    more = f" (the first {MOST_ROWS})" if len(view.trials) > MOST_ROWS else ""
    return section(
        "Every candidate",
        tag("details", tag("summary", f"{len(view.trials)} in order{more}"), table),
        wide=True,
    )


def _conversation(view: View) -> Markup | None:
    """Of a run in which a language model took part."""
    if not view.turns:
        return None
    return section(
        "What the model said",
        tag("details", tag("summary", summary(view.turns)), conversation(view.turns)),
        wide=True,
    )


def _row(index: int, trial: Trial) -> list[Any]:
    candidate, evaluation = trial.candidate, trial.evaluation
    status = tag("span", evaluation.status.replace("_", " "), class_=f"c-{evaluation.status}")
    score = f"{evaluation.score:.3f}" if evaluation.score is not None else ""
    spent = "known" if trial.reused else f"{evaluation.seconds:.2f}"
    return [
        index + 1,
        tag("code", candidate.id[:8]),
        tag("code", (candidate.parent or "")[:8]),
        candidate.proposer,
        status,
        score,
        spent,
        evaluation.reason[:300],
    ]


# Where and from what


def _environment(view: View) -> Markup:
    environment = (
        view.verdict.environment
        if view.verdict
        else (view.trials[-1].evaluation.environment if view.trials else {})
    )
    return section("Environment", facts(environment))


def _provenance(view: View) -> Markup:
    run = view.run
    told: dict[str, Any] = {
        "run": run.id,
        "problem": f"{run.problem_name} ({run.problem})",
        "candidate": view.best.candidate.id if view.best else None,
        "evaluator": run.evaluator_key,
        "proposer": f"{run.proposer}, seed {run.seed}",
        "options": run.options,
    }
    if pieces := provenance_of(view):
        told["made of"] = pieces
    if view.notes:
        told["notes"] = view.notes
    description = tag("details", tag("summary", "The problem"), tag("pre", run.description))
    return section("Provenance", facts(told), description if run.description else None)


def provenance_of(view: View) -> Any:
    """Which part of the winner is whose: from the evidence, else from the candidate's notes or manifest."""
    if view.best is None or view.verdict is None:
        return None
    candidate = view.best.candidate
    found = view.verdict.detail.get("provenance") or candidate.notes.get("provenance")
    return found or _manifest(candidate).get("provenance")


def _manifest(candidate: Candidate) -> Mapping[str, Any]:
    try:
        found = json.loads(candidate.files.get("manifest.json", "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"
