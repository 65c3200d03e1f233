"""`kerf mcp`: what an agent sees, over both transports."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

pytest.importorskip("mcp")

from jsonschema import Draft202012Validator
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from serving import KERF, http, said, stdio

from kerf.core.verb import Verb
from kerf.mcp.calls import Rising
from kerf.mcp.schema import arguments_schema, complaints
from kerf.mcp.serve import parse
from kerf.mcp.server import server
from kerf.placement.examples import path as example
from kerf.verbs import all_verbs

VERBS = all_verbs()
CLIENT = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
HELLO = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": CLIENT}).encode() + b"\n"
CALM: dict[
    str, dict[str, Any]
] = {  # what ends at once: an empty archive, or a mistake that is noticed before torch is loaded
    **{name: {"bogus": 1} for name in ("optimize", "evaluate", "replay", "profile")},
    "demo": {"threads": -1},
    "roofline": {"threads": -1},
    "redteam": {"corpus": "nosuch"},
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERF_HOME", str(tmp_path / "home"))
    return tmp_path


def calm(verb: Verb) -> dict[str, Any]:
    return CALM.get(verb.name) or required(verb)


def required(verb: Verb) -> dict[str, Any]:
    kinds = {str: "nosuch", list[str]: ["nosuch.sv"]}
    return {p.name: kinds[p.kind] for p in verb.parameters() if p.required}


def test_stdio_calls_every_tool(home: Path) -> None:
    async def main() -> None:
        async with stdio(home) as client:
            assert {t.name for t in (await client.list_tools()).tools} == set(VERBS)
            for verb in VERBS.values():
                found = await client.call_tool(verb.name, calm(verb))
                assert said(found).strip() and "bug in kerf" not in said(found), said(found)
                if calm(verb):
                    assert found.is_error and found.structured_content["status"] == "error", verb.name

    anyio.run(main)


def test_http_calls_every_tool(home: Path) -> None:
    """Each names what it does not take; one that needs no domain's machinery answers."""

    async def main(url: str) -> None:
        async with Client(url) as client:
            for tool in (await client.list_tools()).tools:
                refused = await client.call_tool(tool.name, {**calm(VERBS[tool.name]), "bogus": 1})
                assert refused.is_error and said(refused).startswith(f"{tool.name}: no argument 'bogus'")
            assert (await client.call_tool("runs", {"limit": 3.0})).structured_content["runs"] == []

    with http(home) as url:
        anyio.run(main, url)


def test_declarations(home: Path) -> None:
    async def main() -> Any:
        async with Client(server()) as client:
            return (await client.list_tools()).tools

    tools = {t.name: t for t in anyio.run(main)}
    for tool in tools.values():
        Draft202012Validator.check_schema(tool.input_schema)
        assert str(Path.cwd()) in tool.description
    optimize = tools["optimize"].input_schema
    assert optimize["required"] == ["problem"]
    assert optimize["properties"]["evaluations"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]
    assert optimize["properties"]["sizes"]["items"] == {"type": "string"}
    assert "congestion" in tools["draw"].input_schema["properties"]["map_name"]["enum"]
    assert tools["runs"].annotations.read_only_hint and not tools["optimize"].annotations.read_only_hint
    assert [t.name for t in tools.values() if t.annotations.destructive_hint] == ["prune"]


@pytest.mark.parametrize(
    ("verb", "given", "part"),
    [
        ("runs", {"limits": 3}, "did you mean 'limit'"),
        ("runs", {"limit": "three"}, "'three' is not of type 'integer'"),
        ("optimize", {"problem": "p.py", "minutes": "2"}, "'number' or 'null'"),
        ("show", {}, "'run' is missing"),
        ("draw", {"design": "d.aux", "map_name": "heat"}, "'heat' is not one of"),
        ("verify", {"design": "fifo.sv"}, "is not of type 'array'"),
        ("roofline", {"again": 1}, "is not of type 'boolean'"),
    ],
)
def test_wrong_arguments(verb: str, given: dict[str, Any], part: str) -> None:
    assert part in "; ".join(complaints(VERBS[verb], given))


def test_defaults_are_arguments() -> None:
    """What the schema says is the default may also be said."""
    for verb in VERBS.values():
        schema = arguments_schema(verb)["properties"]
        defaults = {name: s["default"] for name, s in schema.items() if "default" in s}
        assert complaints(verb, {**required(verb), **defaults}) == []


def test_same_json_as_the_command_line(home: Path) -> None:
    """And one client's call is answered while another's search runs."""

    async def main(url: str) -> tuple[Any, Any]:
        async with Client(url) as one, Client(url) as two:
            async with anyio.create_task_group() as group:
                group.start_soon(one.call_tool, "place", {"design": "example", "minutes": 0.02})
                score = await two.call_tool("score", {"design": "example.aux"})
            return score, await two.call_tool("runs", {})

    mesh = example()
    for part in mesh.parent.glob("mesh.*"):
        (home / part.name.replace("mesh", "example")).write_text(
            part.read_text().replace("mesh.", "example.")
        )
    with http(home) as url:
        score, runs = anyio.run(main, url)
    printed = subprocess.run(
        [*KERF, "score", "example.aux", "--json"], cwd=home, capture_output=True, text=True, check=True
    )
    timed = {"seconds", "cpu_seconds"}
    told = {k: v for k, v in json.loads(printed.stdout).items() if k not in timed}
    assert {k: v for k, v in score.structured_content.items() if k not in timed} == told
    assert [r["state"] for r in runs.structured_content["runs"]] == ["done"]


async def cancel_a_search(client: Client) -> str:
    """After its third word, when it has told a wirelength; the run, which its process has let go."""
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(value: float, total: float | None, message: str | None) -> None:
        heard.append((value, total, message))

    async def stop(scope: anyio.CancelScope) -> None:
        while len(heard) < 3 or not any("HPWL" in str(m) for _, _, m in heard):
            await anyio.sleep(0.02)
        scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(stop, group.cancel_scope)
        await client.call_tool("place", {"design": "example", "minutes": 1.0}, progress_callback=hear)
        pytest.fail("the search ended before it was cancelled")
    values = [v for v, _, _ in heard]
    assert values == sorted(set(values))
    run = await ended(client)
    assert run["state"] == "interrupted"
    return str(run["run"])


async def ended(client: Client) -> dict[str, Any]:
    """The newest run, once its process has let go."""
    with anyio.fail_after(20):
        while True:
            rows = (await client.call_tool("runs", {"limit": 1})).structured_content["runs"]
            if rows and rows[0]["state"] != "running":
                return dict(rows[0])
            await anyio.sleep(0.1)


def test_cancelling_over_http_and_going_on(home: Path) -> None:
    async def main(url: str) -> None:
        async with Client(url) as client:
            run = await cancel_a_search(client)
            again = await client.call_tool("resume", {"run": run, "minutes": 0.05})
            assert not again.is_error and again.structured_content["status"] == "legal", said(again)

    with http(home) as url:
        anyio.run(main, url)


def test_cancelling_over_stdio(home: Path) -> None:
    async def main() -> None:
        async with stdio(home) as client:
            await cancel_a_search(client)

    anyio.run(main)


def test_a_client_that_leaves_ends_its_search(home: Path) -> None:
    from kerf.runs import runs

    async def main() -> None:
        started = anyio.Event()

        async def hear(value: float, total: float | None, message: str | None) -> None:
            started.set()

        async def search(client: Client) -> None:
            await client.call_tool("place", {"design": "example", "minutes": 1.0}, progress_callback=hear)

        with anyio.CancelScope() as all_of_it:
            async with stdio(home) as client, anyio.create_task_group() as group:
                group.start_soon(search, client)
                await started.wait()
                all_of_it.cancel()

    anyio.run(main)
    for _ in range(100):
        if (state := runs()["runs"][0]["state"]) != "running":
            break
        time.sleep(0.1)
    assert state == "interrupted"


def test_ctrl_c_ends_the_server(home: Path) -> None:
    with subprocess.Popen([*KERF, "mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=home) as server:
        assert server.stdin and server.stdout
        server.stdin.write(HELLO)
        server.stdin.flush()
        assert json.loads(server.stdout.readline())["result"]["serverInfo"]["name"] == "kerf"
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == -signal.SIGINT
        assert server.stdout.read() == b"", "nothing but the protocol"


def test_resources(home: Path) -> None:
    async def main() -> None:
        async with Client(server()) as client:
            listed = [str(r.uri) for r in (await client.list_resources()).resources]
            texts = {u: (await client.read_resource(u)).contents[0].text for u in listed}
            assert json.loads(texts["kerf://chip"])["cores"] >= 1
            cheats = json.loads(texts["kerf://cheats"])["attacks"]
            assert len(cheats) > 50 and all(c["what"] and c["verdict"] for c in cheats)
            assert json.loads(texts["kerf://runs"])["runs"] == []
            assert "module fifo" in texts["kerf://problems/verification/fifo.sv"]
            assert "believe" in texts["kerf://guide"]
            prompt = await client.get_prompt("guide")
            assert prompt.messages[0].content.text == texts["kerf://guide"]
            for missing in ("kerf://runs/nosuch", "kerf://problems/../../secret", "file:///etc/passwd"):
                with pytest.raises(MCPError, match="no r"):
                    await client.read_resource(missing)

    anyio.run(main)


def test_a_run_is_a_resource(home: Path) -> None:
    from kerf.placement.verbs import place

    made = place("example", minutes=0.01, output=str(home / "out.pl"))

    async def main() -> Any:
        async with Client(server()) as client:
            uris = [str(r.uri) for r in (await client.list_resources()).resources]
            assert f"kerf://runs/{made['run']}" in uris
            return json.loads((await client.read_resource(f"kerf://runs/{made['run']}")).contents[0].text)

    shown = anyio.run(main)
    assert shown["state"] == "done" and shown["candidates"]


def test_unknown_tool() -> None:
    async def main() -> None:
        async with Client(server()) as client:
            with pytest.raises(MCPError, match="no tool 'rm'"):
                await client.call_tool("rm", {})

    anyio.run(main)


def test_foreign_pages_are_refused(home: Path) -> None:
    kinds = {"Content-Type": "application/json", "Accept": "application/json"}
    with http(home) as url:
        for header in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(url, b"{}", {**kinds, **header}))
            assert refused.value.code in (403, 421)


def test_another_machine_needs_the_token() -> None:
    from kerf.mcp.serve import guarded

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def status(*headers: tuple[bytes, bytes]) -> int:
        told: list[Any] = []

        async def send(message: Any) -> None:
            told.append(message)

        await guarded(inner, "s3cret")({"type": "http", "headers": list(headers)}, None, send)  # type: ignore[arg-type]
        return int(told[0]["status"])

    assert anyio.run(status) == 401
    assert anyio.run(status, (b"authorization", b"Bearer wrong")) == 401
    assert anyio.run(status, (b"authorization", b"Bearer s3cret")) == 200


def test_addresses() -> None:
    from kerf.core.types import KerfError

    assert parse("8080") == ("127.0.0.1", 8080)
    assert parse("[::1]:9") == ("::1", 9) and parse("box:80") == ("box", 80)
    for wrong in ("", "0", "70000", "box", "a:b:1", "box:"):
        with pytest.raises(KerfError, match="--http takes"):
            parse(wrong)


def test_silence_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients drop a call that says nothing for a minute."""
    monkeypatch.setattr("kerf.mcp.calls.HEARTBEAT_S", 0.02)
    heard: list[float] = []

    async def hear(value: float, total: float | None, message: str) -> None:
        heard.append(value)

    async def main(report: Callable[..., Awaitable[None]]) -> None:
        with anyio.move_on_after(0.3):
            await Rising(report).beat()

    anyio.run(main, hear)
    assert len(heard) >= 3 and heard == sorted(set(heard))


def test_half_characters_do_not_break_the_line() -> None:
    from kerf.mcp.child import Telling

    stream = io.StringIO()
    Telling(stream).tell({"text": "a\ud800b\n", "result": {"ratio": 0.5}})
    line = stream.getvalue()
    assert line.count("\n") == 1 and json.loads(line.encode()) == {"text": "a?b\n", "result": {"ratio": 0.5}}


def test_initialize_needs_no_torch() -> None:
    script = "import sys, kerf.mcp.server as s; s.server(); sys.exit('torch' in sys.modules or 'numba' in sys.modules)"
    assert subprocess.run([*KERF[:1], "-c", script], env=dict(os.environ)).returncode == 0
