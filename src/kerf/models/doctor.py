"""Which language models this machine can use, for `kerf doctor`. None is needed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from kerf.core.types import KerfError
from kerf.models import keys, prices
from kerf.models.anthropic import VARIABLE as ANTHROPIC
from kerf.models.openai import VARIABLE as OPENAI


def _installed(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        raise KerfError(f"{package} is not installed") from None


def _hosted(package: str, variable: str) -> Callable[[], str]:
    def look() -> str:
        found = _installed(package)
        if keys.find(variable) is None:
            raise KerfError(f"{found}, no key in {variable}")
        return f"{found}, a key in {variable}"

    return look


def _server() -> str:
    key = "a key" if keys.find("KERF_SERVER_KEY") else "no key"
    return f"{_installed('openai')}, {key} in KERF_SERVER_KEY (most servers of one's own need none)"


def _prices() -> str:
    own = prices.own_file()
    return f"published ones of {prices.date()}; your own in {own}: {'yes' if own.exists() else 'none yet'}"


EXTRA = "pip install 'kerf-ai[models]'"
CHECKS = (
    ("Anthropic", False, f"{EXTRA}; export {ANTHROPIC}=...", _hosted("anthropic", ANTHROPIC)),
    ("OpenAI", False, f"{EXTRA}; export {OPENAI}=...", _hosted("openai", OPENAI)),
    ("servers that speak OpenAI's chat completions", False, EXTRA, _server),
    ("local weights", False, "pip install 'kerf-ai[local]'", lambda: _installed("transformers")),
    ("prices", False, "", _prices),
)
