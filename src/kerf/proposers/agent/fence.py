"""Text from outside, as data inside a prompt."""

from __future__ import annotations

import re


def fenced(text: str, kind: str = "") -> str:
    """A Markdown code block that `text` cannot leave: its fence is longer than any run of backticks within."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{kind}\n{text.rstrip()}\n{fence}"


def shortened(text: str, most: int) -> str:
    """The beginning and the end, saying how much is left out between."""
    if len(text) <= most:
        return text
    head = most * 2 // 3
    return f"{text[:head]}\n[... {len(text) - most} characters left out ...]\n{text[len(text) - (most - head) :]}"


def blocks(text: str, kinds: tuple[str, ...]) -> list[str]:
    """The contents of the fenced blocks of these kinds, in order."""
    found = re.findall(r"^(`{3,})([\w+.-]*)[^\n]*\n(.*?)^\1`*\s*$", text, re.M | re.S)
    return [body for _, kind, body in found if kind.lower() in kinds]
