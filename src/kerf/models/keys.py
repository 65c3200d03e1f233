"""Keys of providers: found in the environment or the keyring, handed to a client, and struck from every text that leaves.

A key is looked up when a model is opened and kept nowhere else. `scrub` knows each key that was ever handed out, the value of every
environment variable named like a credential, and the look of the common kinds.
"""

from __future__ import annotations

import os
import re

from kerf.models.protocol import ModelError

STRUCK = "[key removed]"
SERVICE = "kerf"  # the keyring's name for us
SHORTEST = 8  # a shorter value is a word that texts may hold by chance

_NAMED_LIKE_ONE = re.compile(r"(_|^)(KEY|TOKEN|SECRET|PASSWORD)$", re.I)
_LOOKS_LIKE_ONE = re.compile(r"\b(?:sk|gsk|xai|hf)[-_][A-Za-z0-9_-]{16,}|(?<=Bearer )\S{8,}")
_STARTS = ("sk-", "sk_", "xai-", "xai_", "hf-", "hf_", "Bearer ")
_handed_out: set[str] = set()


def find(variable: str) -> str | None:
    """The key kept in the environment variable, else in the keyring under (kerf, variable); None where there is none."""
    key = os.environ.get(variable, "").strip() or _from_keyring(variable)
    if key:
        _handed_out.add(key)
    return key or None


def need(variable: str, provider: str) -> str:
    """As `find`; ModelError, with how to give one, where there is none."""
    key = find(variable)
    if key is None:
        raise ModelError(
            f"no key for {provider}. Put it into the environment (export {variable}=...) or the keyring "
            f"(pip install keyring; keyring set {SERVICE} {variable})."
        )
    return key


def scrub(text: str) -> str:
    """The text without any key."""
    for key in sorted(_known(), key=len, reverse=True):
        text = text.replace(key, STRUCK)
    if any(start in text for start in _STARTS):  # the pattern alone takes longer than all else in a turn
        text = _LOOKS_LIKE_ONE.sub(STRUCK, text)
    return text


def _known() -> set[str]:
    named = {value.strip() for name, value in os.environ.items() if _NAMED_LIKE_ONE.search(name)}
    return {key for key in named | _handed_out if len(key) >= SHORTEST}


def _from_keyring(variable: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return ""
    try:
        return keyring.get_password(SERVICE, variable) or ""
    except KeyringError:  # no keyring runs on this machine, or it is locked
        return ""
