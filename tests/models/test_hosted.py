"""Both vendors' libraries against a real HTTP server: text, tools, streaming, and everything that goes wrong."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
from server import Cut, Fault, ScriptedServer, Turn

from kerf.core.types import KerfError
from kerf.models import prices
from kerf.models.ledger import Ceiling, Ledger
from kerf.models.protocol import Finish, Message, Model, ModelError, Request, Role, Tool, ToolCall, Usage
from kerf.models.registry import open_model
from kerf.models.retry import Patience

pytest.importorskip("anthropic")
pytest.importorskip("openai")

EVALUATE = Tool(
    "evaluate", "Judges a source.", {"type": "object", "properties": {"source": {"type": "string"}}}
)
HELLO = [Message(Role.USER, "hello")]
QUICK = Patience(attempts=3, base_s=0.001)
WIRES = pytest.mark.parametrize("wire", ["anthropic", "openai"])


def opened(server: ScriptedServer, wire: str, ledger: Ledger | None = None) -> Model:
    return open_model(getattr(server, wire), patience=QUICK, ledger=ledger)


@WIRES
def test_text_arrives_in_pieces_and_whole(wire: str) -> None:
    heard: list[str] = []
    with ScriptedServer([Turn("a faster kernel", usage=(120, 7, 100))]) as server:
        reply = opened(server, wire).reply(Request(HELLO, "be brief"), heard.append)
    assert reply.message == Message(Role.ASSISTANT, "a faster kernel") and reply.finish is Finish.DONE
    assert "".join(heard) == "a faster kernel" and len([h for h in heard if h]) == 3
    assert reply.usage == Usage(120, 7, 100)
    body = server.requests[0].body
    assert "be brief" in str(body) and body["stream"] is True


@WIRES
def test_a_conversation_with_tools(wire: str) -> None:
    """Calls come back whole, and their results are sent as each wire format wants them."""
    asks = Turn("let me see", calls=[("evaluate", {"source": "int é;"}), ("evaluate", {})])
    with ScriptedServer([asks, Turn("done")]) as server:
        model = opened(server, wire)
        first = model.reply(Request(HELLO, "", [EVALUATE]))
        assert first.finish is Finish.TOOLS
        assert [c.arguments for c in first.message.calls] == [{"source": "int é;"}, {}]
        one, two = first.message.calls
        answers = [
            Message(Role.TOOL, "1.5x", call=one.id),
            Message(Role.TOOL, "no source", call=two.id, failed=True),
        ]
        assert model.reply(Request([*HELLO, first.message, *answers], "", [EVALUATE])).message.text == "done"
    sent = server.requests[1].body["messages"]
    if wire == "anthropic":
        assert [m["role"] for m in sent] == ["user", "assistant", "user"]
        results = sent[2]["content"]
        assert [(r["tool_use_id"], r["is_error"]) for r in results] == [(one.id, False), (two.id, True)]
    else:
        assert [m["role"] for m in sent] == ["user", "assistant", "tool", "tool"]
        assert [m["tool_call_id"] for m in sent[2:]] == [one.id, two.id]


@WIRES
@pytest.mark.parametrize("raw", ['{"source": ', "[1, 2]", "not json"])
def test_malformed_arguments_are_kept_as_written(wire: str, raw: str) -> None:
    with ScriptedServer([Turn(calls=[("evaluate", raw)]), Turn("sorry")]) as server:
        model = opened(server, wire)
        reply = model.reply(Request(HELLO, "", [EVALUATE]))
        (call,) = reply.message.calls
        assert call.arguments is None and call.raw == raw
        answer = Message(Role.TOOL, "your arguments are no JSON object", call=call.id, failed=True)
        assert model.reply(Request([*HELLO, reply.message, answer], "", [EVALUATE])).message.text == "sorry"


@WIRES
def test_why_it_stopped(wire: str) -> None:
    words = {"anthropic": ("max_tokens", "refusal"), "openai": ("length", "content_filter")}[wire]
    with ScriptedServer([Turn("a", finish=words[0]), Turn("", finish=words[1])]) as server:
        model = opened(server, wire)
        assert model.reply(Request(HELLO, max_tokens=1)).finish is Finish.LENGTH
        assert model.reply(Request(HELLO)).finish is Finish.REFUSED


@WIRES
def test_busy_servers_are_asked_again(wire: str) -> None:
    with ScriptedServer([Fault(429, retry_after=0.2), Fault(503), Turn("now")]) as server:
        reply = opened(server, wire).reply(Request(HELLO))
    assert reply.message.text == "now" and len(server.requests) == 3
    assert reply.seconds >= 0.2, "retry-after was not honoured"


@WIRES
@pytest.mark.parametrize("events", [-1, 0, 4])
def test_cut_connections_are_asked_again(wire: str, events: int) -> None:
    heard: list[str] = []
    with ScriptedServer([Cut(Turn("half an ans" * 5, pieces=9), events), Turn("whole")]) as server:
        reply = opened(server, wire, ledger := Ledger()).reply(Request(HELLO), heard.append)
    assert reply.message.text == "whole" and len(server.requests) == 2
    if events == 4:
        assert "asking again" in "".join(heard)
        assert ledger.spent.usage.input_tokens > reply.usage.input_tokens == 100, (
            "the broken attempt costs too"
        )


@WIRES
def test_patience_ends(wire: str) -> None:
    with ScriptedServer(itertools.repeat(Fault(500))) as server, pytest.raises(ModelError) as caught:
        opened(server, wire).reply(Request(HELLO))
    assert len(server.requests) == 3 and "3 attempts" in str(caught.value) and "HTTP 500" in str(caught.value)


@WIRES
@pytest.mark.parametrize("status", [400, 401, 404])
def test_what_cannot_pass_is_not_asked_again(wire: str, status: int) -> None:
    fault = Fault(status, message="no such thing")
    with ScriptedServer([fault, Turn("x")]) as server, pytest.raises(ModelError, match="no such thing"):
        opened(server, wire).reply(Request(HELLO))
    assert len(server.requests) == 1


@WIRES
@pytest.mark.parametrize("turn", [Turn("s" * 60, pieces=60, pause_s=0.05), Turn("late", pause_s=5)])
def test_slow_answers_end_in_time(wire: str, turn: Turn) -> None:
    """Whether nothing comes, or a little at a time for ever."""
    start = time.monotonic()
    with ScriptedServer(itertools.repeat(turn)) as server, pytest.raises(ModelError, match="does not answer"):
        opened(server, wire).reply(Request(HELLO, timeout_s=0.5))
    assert time.monotonic() - start < 3


def test_a_retry_after_beyond_the_limit_ends_at_once() -> None:
    with (
        ScriptedServer([Fault(429, retry_after=600)]) as server,
        pytest.raises(ModelError, match="limit of 5 s"),
    ):
        opened(server, "openai").reply(Request(HELLO, timeout_s=5))


def test_nobody_listens() -> None:
    with pytest.raises(ModelError, match=r"does not answer: 3 attempts.*no connection"):
        open_model("openai/x@http://127.0.0.1:9/v1", patience=QUICK).reply(Request(HELLO))


def test_thoughts_go_back_only_into_the_conversation_they_belong_to() -> None:
    turn = Turn("let me see", calls=[("evaluate", {"source": ""})], thinking="hmm")
    with ScriptedServer([turn, Turn("done"), Turn("again")]) as server:
        model = opened(server, "anthropic")
        first = model.reply(Request(HELLO, "s", [EVALUATE])).message
        answer = Message(Role.TOOL, "1x", call=first.calls[0].id)
        model.reply(Request([*HELLO, first, answer], "s", [EVALUATE]))
        model.reply(Request([Message(Role.USER, "shortened"), first, answer], "s", [EVALUATE]))
    kinds = [[b["type"] for b in r.body["messages"][1]["content"]] for r in server.requests[1:]]
    assert kinds == [["thinking", "text", "tool_use"], ["text", "tool_use"]]
    assert server.requests[1].body["messages"][1]["content"][0]["signature"] == "signed"


def test_servers_that_say_little() -> None:
    """No usage, "stop" for a call, thoughts apart, no id: as smaller servers do."""
    turn = Turn(calls=[("evaluate", {"source": "x" * 300})], usage=None, finish="stop", thinking="hmm")
    with ScriptedServer([turn]) as server:
        reply = opened(server, "openai").reply(Request([Message(Role.USER, "y" * 3000)], "", [EVALUATE]))
    assert reply.finish is Finish.TOOLS and reply.message.text == ""
    assert reply.usage.input_tokens >= 1000 and reply.usage.output_tokens >= 100


def test_calls_without_numbers() -> None:
    calls = [("evaluate", {"source": "first"}), ("evaluate", {"source": "second"})]
    with ScriptedServer([Turn(calls=calls, numbered=False)]) as server:
        reply = opened(server, "openai").reply(Request(HELLO, "", [EVALUATE]))
    assert [c.arguments for c in reply.message.calls] == [c[1] for c in calls]


@WIRES
def test_who_watches_can_stop_it(wire: str) -> None:
    """What `watch` raises goes through: nothing is asked again."""

    class Stopped(Exception):
        pass

    def stop(text: str) -> None:
        raise Stopped

    with ScriptedServer(itertools.repeat(Turn("go on"))) as server, pytest.raises(Stopped):
        opened(server, wire).reply(Request(HELLO), stop)
    assert len(server.requests) == 1


def test_calls_that_all_have_the_index_nought() -> None:
    from types import SimpleNamespace as Piece

    from kerf.models.hosted import Attempt
    from kerf.models.openai import _Answer

    def piece(id: str | None, name: str | None, raw: str) -> Piece:
        return Piece(index=0, id=id, function=Piece(name=name, arguments=raw))

    answer, attempt = _Answer(), Attempt(0, 1.0, lambda text: None)
    for given in (piece("a", "f", '{"x"'), piece(None, None, ": 1}"), piece("b", "g", "{}")):
        answer._join(given, attempt)
    assert answer.calls == (ToolCall("a", "f", {"x": 1}, '{"x": 1}'), ToolCall("b", "g", {}, "{}"))


def test_the_provider_gets_the_key_and_other_servers_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai-1234567890")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-1234567890")
    monkeypatch.setenv("KERF_SERVER_KEY", "key-of-my-own-server")
    with ScriptedServer([Turn("a"), Turn("b")]) as server:
        opened(server, "openai").reply(Request(HELLO))
        opened(server, "anthropic").reply(Request(HELLO))
    for request in server.requests:
        assert "key-of-my-own-server" in str(request.headers) and "sk-" not in str(request.headers)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpt", "PROVIDER/NAME"),
        ("nobody/x", "no provider.*anthropic, local, openai, replay"),
        ("openai/x", "export OPENAI_API_KEY"),
        ("anthropic/x", "export ANTHROPIC_API_KEY"),
        ("openai/x@http://me:secret@host/v1", "KERF_SERVER_KEY"),
    ],
)
def test_names_that_open_nothing(name: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "KERF_OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ModelError, match=words) as caught:
        open_model(name)
    assert "secret" not in str(caught.value)


def test_an_address_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer([Turn("hi")]) as server:
        monkeypatch.setenv("KERF_OPENAI_BASE_URL", f"{server.url}/v1")
        model = open_model("openai/org/model")
        assert model.name == f"openai/org/model@{server.url}/v1"
        assert model.reply(Request(HELLO)).message.text == "hi"
    assert server.requests[0].body["model"] == "org/model"


def test_another_server_is_not_paid_what_openai_asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its price is not known, however its model is called and its address is given."""
    monkeypatch.setenv("KERF_PRICES", str(tmp_path / "none.toml"))
    assert prices.price_of("openai/gpt-5.5") is not None
    with ScriptedServer([Turn("hi", usage=(1000, 10, 0))] * 2) as server:
        monkeypatch.setenv("KERF_OPENAI_BASE_URL", f"{server.url}/v1")
        with pytest.raises(KerfError, match=r"price of openai/gpt-5\.5@http.*is not known"):
            open_model("openai/gpt-5.5", ledger=Ledger(Ceiling(dollars=1.0)))
        open_model("openai/gpt-5.5", ledger=(ledger := Ledger())).reply(Request(HELLO))
        assert ledger.spent.dollars == 0 and ledger.spent.unpriced == 1, "nothing is guessed"
        assert not server.requests[1:]
        monkeypatch.setenv("KERF_PRICES", str(tmp_path / "own.toml"))
        own = f'[openai.models]\n"gpt-5.5@{server.url}/v1" = {{ input = 1.0, output = 2.0 }}\n'
        (tmp_path / "own.toml").write_text(own)
        open_model("openai/gpt-5.5", ledger=(ledger := Ledger(Ceiling(dollars=1.0)))).reply(Request(HELLO))
        assert ledger.spent.dollars == pytest.approx(0.00102)
