"""Prompts: Markdown beside a domain's code, in its folder `prompts`."""

from __future__ import annotations

from importlib.resources import files
from string import Template


def prompt(package: str, name: str, /, **values: object) -> str:
    """PACKAGE/prompts/NAME.md with its `$names` filled in."""
    text = (files(package) / "prompts" / f"{name}.md").read_text()
    return Template(text).substitute({k: str(v) for k, v in values.items()}).rstrip("\n")


def briefs(package: str) -> list[str]:
    """The ways of going about it that a domain's agents are given, in the order of their names: PACKAGE/prompts/briefs/*.md."""
    folder = files(package) / "prompts" / "briefs"
    found = sorted((p for p in folder.iterdir() if p.name.endswith(".md")), key=lambda p: p.name)
    return [p.read_text().rstrip("\n") for p in found]
