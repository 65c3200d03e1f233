"""Models by name. Ours are declared as anybody's are: entry points in the group "kerf.models", the part of a name before its first slash."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from kerf.core.types import KerfError
from kerf.models import prices
from kerf.models.ledger import Ledger, Metered
from kerf.models.prices import Price
from kerf.models.protocol import Model, ModelError
from kerf.models.retry import Patience, Retrying

GROUP = "kerf.models"


def providers() -> list[str]:
    """Every provider installed."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def open_model(
    name: str,
    *,
    ledger: Ledger | None = None,
    price: Price | None = None,
    patience: Patience = Patience(),
    **settings: Any,
) -> Model:
    """The model that `name` ("PROVIDER/NAME") opens, which asks again after what may pass and whose every call passes `ledger`. `price`: in
    place of the known one. `settings` go to the provider's own function. KerfError where there is no such provider, no key, or where the
    ledger limits dollars and the price is not known."""
    provider, slash, rest = name.partition("/")
    if not slash or not rest:
        raise ModelError(
            f"{name!r} names no model: write PROVIDER/NAME, where PROVIDER is one of {', '.join(providers())}"
        )
    opened = _open(_entry(provider), rest, settings)
    if ledger is not None:
        opened = Metered(opened, ledger, price or prices.price_of(opened.name))
    return Retrying(opened, patience)


def _entry(provider: str) -> EntryPoint:
    found = list(entry_points(group=GROUP, name=provider))
    if not found:
        raise ModelError(
            f"no provider of models is named {provider!r}. Installed: {', '.join(providers())}. A server that speaks "
            "OpenAI's chat completions is openai/NAME@ADDRESS."
        )
    return found[0]


def _open(entry: EntryPoint, rest: str, settings: dict[str, Any]) -> Model:
    try:
        factory = entry.load()
    except (ImportError, AttributeError) as error:
        raise KerfError(
            f"the provider {entry.name!r} ({entry.value}) does not load: {error}. Reinstall or remove its package."
        ) from error
    try:
        model: Model = factory(rest, **settings)
    except TypeError as error:
        raise ModelError(f"{entry.name}: {error}") from error
    return model
