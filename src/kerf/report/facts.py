"""Any JSON as a table a person can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kerf.report.markup import Markup, join, tag

SHOWN, LONG = 12, 2000


def facts(values: Mapping[str, Any]) -> Markup:
    """Nested names are joined by dots; long lists of numbers show their count and first few."""
    rows = [tag("tr", tag("td", name, class_="key"), tag("td", said)) for name, said in flat(values)]
    return tag("table", *rows) if rows else tag("p", "Nothing recorded.", class_="soft")


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        full = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            found += flat(value, f"{full}.")
        elif _is_list(value) and any(isinstance(v, Mapping) for v in value):
            for i, item in enumerate(value[:SHOWN]):
                found += (
                    flat(item, f"{full}.{i}.")
                    if isinstance(item, Mapping)
                    else [(f"{full}.{i}", brief(item))]
                )
        else:
            found.append((full, brief(value)))
    return found


def brief(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:.6g}"
    if _is_list(value):
        more = f", ... ({len(value)} in all)" if len(value) > SHOWN else ""
        return ", ".join(brief(v) for v in value[:SHOWN]) + more if value else "none"
    text = str(value)
    return text if len(text) <= LONG else f"{text[:LONG]} ... ({len(text)} characters in all)"


def grid(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    numeric: Sequence[str] = (),
    chosen: int | None = None,
) -> Markup:
    """A table; cells may be Markup, `numeric` columns stand right."""
    sides = [("n" if c in numeric else None) for c in columns]
    head = tag("tr", *(tag("th", c, class_=side) for c, side in zip(columns, sides)))
    body = [
        tag(
            "tr",
            *(
                tag("td", cell if isinstance(cell, Markup) else brief(cell), class_=side)
                for cell, side in zip(row, sides)
            ),
            class_="chosen" if i == chosen else None,
        )
        for i, row in enumerate(rows)
    ]
    return tag("table", tag("thead", head), tag("tbody", join(*body)))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
