"""The winner's source, and what it changed."""

from __future__ import annotations

import difflib

from kerf.core.types import Candidate
from kerf.report.document import section
from kerf.report.markup import Markup, tag
from kerf.report.view import View, parent_of

MOST_LINES = 2000


def source(view: View) -> Markup | None:
    if view.best is None:
        return None
    parent = parent_of(view)
    before = parent or next(
        (
            t
            for t in view.trials
            if t.candidate.id != view.best.candidate.id and t.evaluation.score is not None
        ),
        None,
    )
    shown: list[Markup] = []
    if before:
        name = "its parent" if parent else "the first that passed"
        said = (
            f"{before.candidate.id[:8]}, {name}, score {before.evaluation.score or 0:.3g}"
            if before.evaluation.score
            else f"{before.candidate.id[:8]}, {name}, {before.evaluation.status}"
        )
        shown.append(
            tag(
                "details",
                tag("summary", f"Difference from {said}"),
                _diff(before.candidate, view.best.candidate),
                open="open",
            )
        )
    for name, text in sorted(view.best.candidate.files.items()):
        lines = text.splitlines()
        more = f"\n... {len(lines) - MOST_LINES} more lines" if len(lines) > MOST_LINES else ""
        shown.append(
            tag(
                "details",
                tag("summary", f"{name}, lines: {len(lines)}"),
                tag("pre", "\n".join(lines[:MOST_LINES]) + more),
            )
        )
    return section("Source of the winner", *shown, small=view.best.candidate.id, wide=True)


def _diff(before: Candidate, after: Candidate) -> Markup:
    lines: list[str] = []
    for name in sorted({*before.files, *after.files}):
        old, new = before.files.get(name, "").splitlines(), after.files.get(name, "").splitlines()
        lines += difflib.unified_diff(old, new, f"before/{name}", f"after/{name}", lineterm="", n=2)
    shown = [tag("span", text, class_=_kind_of_line(text)) for text in lines[:MOST_LINES]]
    return tag("pre", *shown) if shown else tag("p", "The files are the same.", class_="soft")


def _kind_of_line(text: str) -> str | None:
    if text.startswith(("--- before/", "+++ after/")):
        return "at"
    return {"+": "add", "-": "del", "@": "at"}.get(text[:1])
