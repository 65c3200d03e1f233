"""The frame of every report page: self-contained, its style inside, no network and no script allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kerf.report.markup import Markup, join, tag
from kerf.report.style import CSS

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def document(title: str, header: Markup, sections: Sequence[Markup | None]) -> str:
    """A page as HTML; sections that are None are left out."""
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("title", title),
        tag("style", Markup(CSS)),
    )
    body = tag("main", header, tag("div", *sections, class_="grid"))
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"


def heading(title: Sequence[str | Markup], lines: Sequence[str | Markup | None], tiles: Mapping[str, str]) -> Markup:  # fmt: skip
    """The head of a page: its title, what is said under it (texts become paragraphs), and one tile for each number."""
    said = [tag("p", line) if type(line) is str else line for line in lines]
    shown = [tag("div", tag("span", name), value) for name, value in tiles.items()]
    return tag("header", tag("h1", *title), *said, tag("div", *shown, class_="tiles"))


def section(title: str, *content: Markup | None, small: str = "", wide: bool = False) -> Markup:
    """One part of a page under a heading of its own; `small` is said beside it, `wide` takes the whole line."""
    heading = tag("h2", title, " ", tag("small", small) if small else None)
    return tag("section", heading, *content, class_="wide" if wide else None)
