"""A coding agent's command line as a proposer, played by a script on the PATH."""

from __future__ import annotations

import json
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from scripted import NumberBench, judged
from test_conversation import Kept

from kerf.core.types import Candidate, KerfError
from kerf.proposers.agent import headless
from kerf.proposers.agent.bench import Mistake
from kerf.proposers.agent.board import Board
from kerf.proposers.agent.headless import Headless

AGENT = """#!{python}
import json, pathlib, sys, time
task = pathlib.Path("TASK.md").read_text()
assert "Find a large number" in task and json.loads(pathlib.Path("mcp.json").read_text())["mcpServers"]["kerf"]
def write(name, number):
    folder = pathlib.Path("candidates") / name
    folder.mkdir()
    (folder / "number.c").write_text(number)
    (folder / "half.c").symlink_to("/etc/hostname")
    (folder / "DONE").touch()
    verdict = pathlib.Path("verdicts") / (name + ".md")
    for _ in range(200):
        if verdict.exists():
            return verdict.read_text()
        time.sleep(0.05)
    raise SystemExit("no verdict")
said = [write("first", "1"), write("again", "1"), write("second", "2 (I measured 900x)")]
pathlib.Path("said.json").write_text(json.dumps([sys.argv[1:], said]))
"""


class FileBench(NumberBench):
    """The number stands in number.c."""

    def candidate(self, arguments: dict, board: Board) -> Candidate:  # type: ignore[type-arg, override]
        files = arguments["files"]
        if set(files) != {"number.c"}:
            raise Mistake(f"files {sorted(files)}")
        return Candidate({"number": files["number.c"].partition(" ")[0]})


@pytest.mark.parametrize("name, program", [("claude-code", "claude"), ("codex", "codex")])
def test_only_files_that_were_judged_count(
    name: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "bin" / program
    script.parent.mkdir()
    script.write_text(AGENT.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")
    monkeypatch.setattr(headless, "POLL_S", 0.05)
    kept = Kept()
    proposer = Headless(name, FileBench(), kept, tmp_path)
    proposer.bind("run")
    proposer.live = True
    found = []
    while asked := proposer.ask(2):
        for candidate in asked:
            proposer.tell(candidate, judged(candidate))
        found += asked
    assert [c.files["number"] for c in found] == ["1", "2"] and {c.proposer for c in found} == {name}
    words, said = json.loads((proposer.folder / "said.json").read_text())
    assert any("mcp" in w for w in words) and any("TASK.md" in w for w in words)
    if name == "codex":
        settings = tomllib.loads("\n".join(w for before, w in pairwise(words) if before == "-c"))
        server = settings["mcp_servers"]["kerf"]
        assert server["args"][-1] == "mcp" and server["tool_timeout_sec"] >= 600, "searches take minutes"
    assert said[0].startswith("verdict on 1: passed") and "judged" in said[1] and "900" not in said[2]
    again = Headless(name, FileBench(), kept, tmp_path)
    again.bind("run")
    replayed = [c.id for _ in range(3) for c in again.ask(2)]
    assert replayed == [c.id for c in found], "a resumed run has them without the agent"


def test_an_agent_that_is_not_installed_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KerfError, match="`codex`, which is not on your PATH"):
        headless.find("codex")
