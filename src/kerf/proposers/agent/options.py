"""The options of a verb that may ask a language model, and how people say them: written once, for every domain's. They come to an
`agency.Asked`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from kerf.core.speech import Said
from kerf.core.verb import Option

Model = Annotated[
    str,
    Option(
        "A language model that writes candidates beside the search: anthropic/NAME, openai/NAME, local/PATH or replay/PATH.",
        metavar="MODEL",
    ),
]
Agents = Annotated[
    int, Option("So many conversations with the model, each going about it its own way.", metavar="N")
]
MaxDollars = Annotated[float | None, Option("Never spend more than this on the model.", metavar="USD")]
MaxTokens = Annotated[
    int | None, Option("Never use more tokens than this, in and out together.", metavar="N")
]
Price = Annotated[
    str,
    Option(
        "What the model costs, in dollars per million tokens, where Kerf does not know.", metavar="IN,OUT"
    ),
]

SAID: Mapping[str, Said] = {
    "model": Said(
        words=("language model",),
        patterns=(
            (r"(?:(?:language )?model )?(?P<name>(?:anthropic|openai|local|replay)/[\w./:-]+)", "{name}"),
        ),
    ),
    "agents": Said(words=("agent", "conversation")),
    "max_dollars": Said(unit="dollars"),
    "max_tokens": Said(words=("token",), ceiling=True),
    "price": Said(words=("price",)),
}
