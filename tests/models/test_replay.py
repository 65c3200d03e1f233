"""What was recorded plays back, and says where it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_model import Scripted, asked, said

from kerf.models.protocol import (
    Finish,
    Message,
    Model,
    ModelError,
    Reply,
    Request,
    Role,
    Tool,
    ToolCall,
    Usage,
)
from kerf.models.registry import open_model
from kerf.models.replay import record
from kerf.models.transcript import message_json, message_of, reply_json, reply_of

EVALUATE = Tool("evaluate", "Judges a source.", {"type": "object"})


def converse(model: Model, time: str = "1.52 ms", brief: str = "be brief") -> list[str]:
    """Two turns, the second of which tells a measured time."""
    hello = [Message(Role.USER, "make it faster")]
    first = model.reply(Request(hello, brief, [EVALUATE]))
    answer = Message(Role.TOOL, f"a1b2c3d4e5 took {time}", call=first.message.calls[0].id)
    return [
        first.message.text,
        model.reply(Request([*hello, first.message, answer], brief, [EVALUATE])).message.text,
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    recorded = tmp_path / "talk.jsonl"
    script = Scripted([asked("evaluate", {"source": "int x;"}, "let me see"), said("done")])
    assert converse(record(script, recorded)) == ["let me see", "done"]
    return recorded


def test_it_plays_back(path: Path) -> None:
    heard: list[str] = []
    model = open_model(f"replay/{path}")
    reply = model.reply(Request([Message(Role.USER, "make it faster")], "be brief", [EVALUATE]), heard.append)
    assert heard == ["let me see"] and reply.usage == Usage(100, 20)
    assert converse(open_model(f"replay/{path}", match="exact")) == ["let me see", "done"]


def test_numbers_may_be_measured_anew(path: Path) -> None:
    assert converse(open_model(f"replay/{path}"), time="1.49 ms") == ["let me see", "done"]
    with pytest.raises(ModelError, match=r"message 3 says .*1\.49 ms.*where .*1\.52 ms.* was recorded"):
        converse(open_model(f"replay/{path}", match="exact"), time="1.49 ms")


def test_what_differs_is_said(path: Path) -> None:
    with pytest.raises(ModelError, match=r"system says .*be long.* was recorded"):
        converse(open_model(f"replay/{path}"), brief="be long")
    assert converse(open_model(f"replay/{path}", match="order"), brief="be long") == ["let me see", "done"]
    model = open_model(f"replay/{path}")
    converse(model)
    with pytest.raises(ModelError, match="every recorded reply has been given"):
        converse(model)


def test_conversations_side_by_side(tmp_path: Path) -> None:
    """Recorded in one order, played in the other: as parallel agents do."""
    recorded = tmp_path / "two.jsonl"
    model = record(Scripted([said("to a"), said("to b")]), recorded)
    for name in "ab":
        model.reply(Request([Message(Role.USER, f"I am {name}")]))
    player = open_model(f"replay/{recorded}")
    assert [player.reply(Request([Message(Role.USER, f"I am {n}")])).message.text for n in "ba"] == [
        "to b",
        "to a",
    ]


def test_a_long_conversation_is_kept_once(tmp_path: Path) -> None:
    recorded = tmp_path / "long.jsonl"
    model, messages = record(Scripted([said("ok")]), recorded), []
    for _ in range(40):
        messages.append(Message(Role.USER, "x" * 1000))
        messages.append(model.reply(Request(messages, "s" * 1000, [EVALUATE])).message)
    assert recorded.stat().st_size < 40 * 1500 + 3000


@pytest.mark.parametrize("text", ["", "{}", '{"format": 99, "model": "m"}', '{"format": 1}\nnot json', "[]"])
def test_files_that_are_no_recording(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    with pytest.raises(ModelError):
        open_model(f"replay/{path}").reply(Request([]))
    with pytest.raises(ModelError, match="Choose a new file"):
        record(Scripted([]), path)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
CALLS = st.builds(
    ToolCall, TEXTS, TEXTS, st.none() | st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=3), TEXTS
)
MESSAGES = st.builds(
    Message, st.sampled_from(Role), TEXTS, st.lists(CALLS, max_size=2).map(tuple), TEXTS, st.booleans()
)


@given(MESSAGES, st.sampled_from(Finish))
def test_messages_and_replies_survive_json(message: Message, finish: Finish) -> None:
    assert message_of(json.loads(json.dumps(message_json(message)))) == message
    reply = Reply(message, Usage(3, 2, 1), finish, 1.5)
    assert reply_of(json.loads(json.dumps(reply_json(reply)))) == reply
