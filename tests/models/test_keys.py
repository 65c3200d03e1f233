"""A key is in the request to its provider and nowhere else."""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from scripted_model import Scripted, said
from server import Cut, Fault, ScriptedServer, Turn

from kerf.doctor import doctor
from kerf.models import keys
from kerf.models.protocol import Message, ModelError, Request, Role
from kerf.models.registry import open_model
from kerf.models.replay import record
from kerf.models.retry import Patience

PLANTED = {
    "ANTHROPIC_API_KEY": "sk-ant-planted-0123456789",
    "OPENAI_API_KEY": "sk-planted-9876543210abcdef",
    "KERF_SERVER_KEY": "planted+server/key=",
    "GITHUB_TOKEN": "planted-token-of-another-tool",
}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    for variable, key in PLANTED.items():
        monkeypatch.setenv(variable, key)
    return list(PLANTED.values())


@pytest.mark.parametrize("wire", ["anthropic", "openai"])
def test_nothing_written_holds_a_key(
    wire: str,
    planted: list[str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A provider that tells the key in its errors, a model that repeats it, a user who types it."""
    pytest.importorskip("anthropic")
    pytest.importorskip("openai")
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("KERF_HOME", str(tmp_path / "home"))
    said_by_all = " ".join(planted)
    script = [
        Turn(f"your keys: {said_by_all}", calls=[("f", {"key": said_by_all})]),
        Fault(401, message=said_by_all),
    ]
    written = []
    with ScriptedServer([*script, Fault(503, message=said_by_all), Cut(Turn("x"), 1)]) as server:
        model = open_model(getattr(server, wire), patience=Patience(2, 0.0))
        written.append(repr(model) + str(vars(model)))
        recording = record(model, tmp_path / "talk.jsonl")
        recording.reply(Request([Message(Role.USER, said_by_all)], said_by_all))
        for _ in range(2):
            with pytest.raises(ModelError) as caught:
                recording.reply(Request([Message(Role.USER, "hi")]))
            written += ["".join(traceback.format_exception(caught.value)), repr(caught.value)]
    assert "planted+server/key=" in str(server.requests[0].headers), "the test would show nothing"
    written += [str(doctor()), caplog.text, *(p.read_text() for p in tmp_path.rglob("*.jsonl"))]
    written += [str(request.body) for request in server.requests]
    for key in planted:
        assert not [text for text in written if key in text]
    assert open_model(f"replay/{tmp_path / 'talk.jsonl'}", match="order").reply(Request([])).message.calls


def test_scrubbing() -> None:
    assert (
        keys.scrub("Bearer abcdefghijkl, sk-proj-abcdefghijklmnopq.")
        == f"Bearer {keys.STRUCK} {keys.STRUCK}."
    )
    assert keys.scrub("the task-1 of risk-free_but_long_identifiers_here") == (
        "the task-1 of risk-free_but_long_identifiers_here"
    )


def test_short_values_are_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "tile")
    assert keys.scrub("a tile of 8") == "a tile of 8"


def test_from_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    ring = ModuleType("keyring")
    ring.get_password = lambda service, name: {("kerf", "OPENAI_API_KEY"): "from-the-keyring"}.get(
        (service, name)
    )  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", ring)
    monkeypatch.setitem(sys.modules, "keyring.errors", SimpleNamespace(KeyringError=RuntimeError))  # type: ignore[arg-type]
    assert keys.find("OPENAI_API_KEY") == "from-the-keyring"
    assert keys.scrub("it is from-the-keyring") == f"it is {keys.STRUCK}"


def test_doctor_says_which_keys_are_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERF_HOME", str(tmp_path))
    monkeypatch.setenv("ANTHROPIC_API_KEY", PLANTED["ANTHROPIC_API_KEY"])
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    rows = {c["what"]: c for c in doctor()["checks"] if c["area"] == "models"}
    assert not any(row["needed"] for row in rows.values())
    assert "a key in ANTHROPIC_API_KEY" in rows["Anthropic"]["found"]
    assert not rows["OpenAI"]["ok"] and "export OPENAI_API_KEY" in rows["OpenAI"]["fix"]


def test_a_recording_is_written_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    model = record(Scripted([said("one"), ModelError("gone")]), path)
    model.reply(Request([Message(Role.USER, "hi")]))
    with pytest.raises(ModelError):
        model.reply(Request([Message(Role.USER, "hi")]))
    assert len(path.read_text().splitlines()) == 2
