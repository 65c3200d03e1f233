"""`kerf connect`: what it writes into other programs' configuration, and that it takes it back."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tomlkit")

from hypothesis import given
from hypothesis import strategies as st

from kerf.core.types import KerfError
from kerf.mcp.connect import jsonc, toml
from kerf.mcp.connect.agents import AGENTS
from kerf.mcp.connect.connect import connect

JSONC = """\
{
    // servers of my own
    "mcpServers": {
        "files": { "command": "npx", "args": ["-y", "files"] }, // keep
        /* the end */
    },
    "theme": "dark", // "kerf": no member
}
"""
TOML = """\
# mine
model = "gpt"   # spaced

[mcp_servers.files]
command = "npx"
args = ["-y",
  "files"]   # keep

[profiles.fast]
model = "small"
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERF_HOME", str(tmp_path / "kerf"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable in ("CODEX_HOME", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path


def write(agent: str, scope: str = "project", *, undo: bool = False) -> dict[str, Any]:
    return connect(agent, scope, undo=undo, agreed=lambda diff: True)


def everything(folder: Path) -> dict[str, bytes | None]:
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
        for p in folder.rglob("*")
        if "kerf/connections" not in str(p) and p.name not in ("kerf", "connections")
    }


def loaded(agent: str, text: str) -> Any:
    value = tomllib.loads(text) if agent == "codex" else jsonc.parse(text).value
    for name in AGENTS[agent].path:
        value = value[name]
    return value


@pytest.mark.parametrize("scope", ["project", "user"])
@pytest.mark.parametrize("agent", AGENTS)
def test_nothing_there_before(project: Path, agent: str, scope: str) -> None:
    before = everything(project)
    write(agent, scope)
    server = loaded(agent, AGENTS[agent].config_file(scope).read_text())
    assert Path(server["command"]).is_absolute() and "mcp" in server["args"]
    assert server["env"]["KERF_HOME"] == str(project / "kerf")
    skill = AGENTS[agent].skill_file(scope).read_text()
    assert (
        skill.startswith("---\nname: kerf\ndescription: ")
        and AGENTS[agent].skill_file(scope).parent.name == "kerf"
    )
    assert not write(agent, scope)["diff"], "a second time there is nothing to do"
    write(agent, scope, undo=True)
    assert everything(project) == before


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_what_was_there_stays(agent: str, ending: str) -> None:
    path = AGENTS[agent].config_file("project")
    text = (TOML if agent == "codex" else JSONC.replace("mcpServers", AGENTS[agent].path[0])).replace(
        "\n", ending
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    path.chmod(0o600)
    write(agent)
    now = path.read_bytes().decode()
    assert loaded(agent, now)["args"]
    gone = [line for line in text.split(ending) if line not in now.split(ending)]
    assert not gone, "every line is still there, as it was"
    assert (ending == "\n") == ("\r" not in now) and now.count("\n") == now.count(ending)
    assert path.stat().st_mode & 0o777 == 0o600
    write(agent, undo=True)
    assert path.read_bytes().decode() == text


@pytest.mark.parametrize("agent", ["cursor", "codex"])
def test_undo_after_the_owner_went_on(agent: str) -> None:
    """Only kerf's entry goes; so too where the record of what kerf wrote is lost."""
    path = AGENTS[agent].config_file("project")
    path.parent.mkdir()
    path.write_text(TOML if agent == "codex" else JSONC)
    write(agent)
    more = "\n[later]\nx = 1\n" if agent == "codex" else "// later\n"
    path.write_text(path.read_text() + more)
    write(agent, undo=True)
    text = path.read_text()
    assert "kerf" not in text.replace('"kerf": no member', "") and text.endswith(more) and "files" in text


def test_own_keys_of_the_entry_stay() -> None:
    path = AGENTS["claude"].config_file("project")
    path.write_text('{"mcpServers": {"kerf": {"command": "old", "alwaysAllow": ["runs"]}}}')
    write("claude")
    entry = json.loads(path.read_text())["mcpServers"]["kerf"]
    assert entry["alwaysAllow"] == ["runs"] and entry["command"] != "old"
    write("claude", undo=True)
    assert path.read_text() == '{"mcpServers": {"kerf": {"command": "old", "alwaysAllow": ["runs"]}}}'


def test_a_skill_that_was_changed_is_left_alone() -> None:
    write("gemini")
    skill = AGENTS["gemini"].skill_file("project")
    skill.write_text("my own words")
    found = write("gemini", undo=True)
    assert skill.read_text() == "my own words"
    assert (
        "left alone" in found["changes"][1]["note"] and not AGENTS["gemini"].config_file("project").exists()
    )


@pytest.mark.parametrize(
    ("agent", "text", "place"),
    [
        ("claude", '{\n  "mcpServers": {\n', "line 3"),
        ("claude", '{"mcpServers": {"a": 1 "b": 2}}', "expected a comma"),
        ("vscode", '{"servers": []}', "servers is no object"),
        ("cursor", "[1, 2]", "is no object"),
        ("codex", "a = = 1", "line 1"),
        ("codex", "mcp_servers = 3", "is no table"),
        ("codex", "mcp_servers = { files = { command = 'x' } }", "inline"),
    ],
)
def test_what_cannot_be_read_is_left_alone(agent: str, text: str, place: str) -> None:
    path = AGENTS[agent].config_file("project")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    with pytest.raises(KerfError, match=place) as refused:
        write(agent)
    assert str(path) in str(refused.value) and path.read_text() == text
    assert not AGENTS[agent].skill_file("project").exists()


def test_no_means_no() -> None:
    shown: list[str] = []

    def no(diff: str) -> bool:
        shown.append(diff)
        return False

    found = connect("claude", "project", undo=False, agreed=no)
    assert not found["written"] and '"kerf"' in shown[0] and not list(Path.cwd().iterdir())


def test_a_link_stays_one(project: Path) -> None:
    real = project / "dotfiles.json"
    real.write_text("{}")
    Path(".mcp.json").symlink_to(real)
    write("claude")
    assert Path(".mcp.json").is_symlink() and "kerf" in real.read_text()


@pytest.mark.parametrize(("agent", "scope"), [("emacs", "project"), ("claude", "world")])
def test_unknown_names(agent: str, scope: str) -> None:
    with pytest.raises(KerfError, match=r"emacs|world"):
        write(agent, scope)


# ---------------------------------------------------------------- any file at all

names = st.text(st.sampled_from('ab"\\é{}/*, '), max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)
documents = st.dictionaries(names, values, max_size=4)
indents = st.sampled_from([None, 0, 2, 4, "\t"])


@given(documents, indents)
def test_any_json(document: dict[str, Any], indent: Any) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    assert jsonc.parse(text).value == document
    with_kerf = jsonc.merged(text, ["servers", "kerf"], {"command": "kerf", "args": ["mcp"]})
    wanted = {**document, "servers": {"kerf": {"command": "kerf", "args": ["mcp"]}}}
    assert json.loads(with_kerf) == wanted
    without = json.loads(jsonc.removed(with_kerf, ["servers", "kerf"]))
    assert without == {**document, "servers": {}}
    assert json.loads(jsonc.removed(with_kerf, ["servers"])) == document


@given(st.text(st.sampled_from('{}[]":,/* \n\\a1-é')))
def test_any_text(text: str) -> None:
    """Read, or refused; nothing else."""
    try:
        jsonc.parse(text)
    except KerfError as refused:
        assert "line" in str(refused)


@given(st.text(st.sampled_from('[]"=.#\n ab1'), max_size=30))
def test_any_toml(text: str) -> None:
    try:
        old = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    try:
        now = toml.merged(text, ["mcp_servers", "kerf"], {"command": "kerf"})
    except KerfError:
        return
    assert tomllib.loads(now) == {**old, "mcp_servers": {"kerf": {"command": "kerf"}}}
    assert now.startswith(text)
