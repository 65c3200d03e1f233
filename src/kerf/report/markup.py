"""HTML and SVG built so that nothing a candidate wrote can become markup: a `str` child is escaped, only a `Markup` is not."""

from __future__ import annotations

from html import escape

VOID = {"meta", "br", "hr"}
Child = str | int | float | None


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, /, *children: Child, **attributes: Child) -> Markup:
    """`class_` and `stroke_width` stand for `class` and `stroke-width`; an attribute that is None is left out."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{clean(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{said}>" if name in VOID else f"<{name}{said}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    return Markup(
        "".join(
            child if isinstance(child, Markup) else clean(_text(child))
            for child in children
            if child is not None
        )
    )


def clean(text: str) -> str:
    """Escaped, with control characters and half surrogates (which no HTML or UTF-8 file may hold) made visible."""
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return escape(shown, quote=True)


def _text(value: Child) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
