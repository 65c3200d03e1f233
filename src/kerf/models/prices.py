"""What a call costs: prices.toml beside this file, and the user's own table, which is looked at first."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from kerf.core.types import KerfError
from kerf.models.protocol import Usage

MILLION = 1_000_000
DATED = re.compile(
    r"-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$"
)  # a dated version of a model costs what the model does
COST_NOTHING = ("local", "replay")


@dataclass(frozen=True)
class Rate:
    """Dollars per million tokens. `cached`: sent tokens read from the provider's cache; `written`: the others, where caching them costs more
    than sending them."""

    input: float
    output: float
    cached: float
    written: float

    def cost(self, usage: Usage) -> float:
        fresh = usage.input_tokens - usage.cached_tokens
        dear = max(self.input, self.written)
        whole = fresh * dear + usage.cached_tokens * self.cached + usage.output_tokens * self.output
        return whole / MILLION


@dataclass(frozen=True)
class Price:
    """`rate`, and `long` for every token of a call that sends more than `above` tokens."""

    rate: Rate
    above: int = 0
    long: Rate | None = None

    def at(self, input_tokens: int) -> Rate:
        return self.long if self.long and input_tokens > self.above else self.rate

    def cost(self, usage: Usage) -> float:
        """Dollars, rounded up where the provider does not say enough: every sent token that was not read from its cache counts as written
        to it."""
        return self.at(usage.input_tokens).cost(usage)


def cost(usage: Usage, model: str) -> float | None:
    """Dollars that one call cost; None where the model's price is not known."""
    price = price_of(model)
    return None if price is None else price.cost(usage)


def price_of(model: str) -> Price | None:
    """The price of a model by the name that opens it; None where it is not known. What runs on this machine costs nothing."""
    provider, _, name = model.partition("/")
    if provider in COST_NOTHING:
        return free()
    for table in (_own(own_file()), _published()):
        rows = table.get(provider, {}).get("models", {})
        row = rows.get(name) or rows.get(DATED.sub("", name))
        if row is not None:
            return _price(model, row)
    return None


def free() -> Price:
    return Price(Rate(0.0, 0.0, 0.0, 0.0))


def given(text: str) -> Price:
    """A price as options give it, "IN,OUT" in dollars per million tokens: "0.4,1.6". KerfError where it is none."""
    try:
        sent, said = (float(part) for part in text.split(","))
    except ValueError:
        raise KerfError(
            f"the price {text!r} is not IN,OUT: two numbers in dollars per million tokens, such as 0.4,1.6"
        ) from None
    return _price("the given price", {"input": sent, "output": said})


def unknown(model: str) -> KerfError:
    """What to say where a limit in dollars was asked for and the price is not known."""
    provider, _, name = model.partition("/")
    return KerfError(
        f"the price of {model} is not known, so a limit in dollars cannot be kept. Give it in dollars per million tokens, for one "
        f"run with --price IN,OUT (0,0 for a server of your own), for all in {own_file()}:\n    [{provider}.models]\n"
        f'    "{name}" = {{ input = 0.0, output = 0.0 }}\nor limit tokens or minutes instead.'
    )


def own_file() -> Path:
    """The user's own table: $KERF_PRICES, or prices.toml in the user's configuration folder."""
    from platformdirs import user_config_path

    chosen = os.environ.get("KERF_PRICES")
    return Path(chosen) if chosen else user_config_path("kerf") / "prices.toml"


def date() -> str:
    """The day that the table of published prices was made."""
    return str(_published()["date"])


@cache
def _published() -> Mapping[str, Any]:
    return tomllib.loads(Path(__file__).with_name("prices.toml").read_text("utf-8"))


def _own(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise KerfError(
            f"{path} cannot be read: {error}. Mend it, or take prices.toml of kerf.models as a pattern."
        ) from None


def _price(model: str, row: Mapping[str, Any]) -> Price:
    try:
        long = row.get("above")
        return Price(_rate(row), int(long["tokens"]) if long else 0, _rate(long) if long else None)
    except (KeyError, TypeError, ValueError):
        raise KerfError(
            f"the price of {model} needs `input` and `output`, dollars per million tokens, none negative: {dict(row)}"
        ) from None


def _rate(row: Mapping[str, Any]) -> Rate:
    default = {"cached": row["input"], "written": row["input"]}
    values = {f.name: float({**default, **row}[f.name]) for f in fields(Rate)}
    if not all(0 <= value < float("inf") for value in values.values()):
        raise ValueError("not a price")
    return Rate(**values)
