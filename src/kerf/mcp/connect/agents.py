"""Where each agent keeps its servers and skills, from its own documentation (as of 2026-11).

claude: code.claude.com/docs/en/mcp and /skills. codex: developers.openai.com/codex/mcp and /skills. cursor: cursor.com/docs/context/mcp and /skills.
gemini: geminicli.com/docs/tools/mcp-server and /cli/skills. vscode: code.visualstudio.com/docs/copilot (MCP configuration, agent skills).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LONG_S = 3600
"""How long a call may take, where an agent lets a server say so: searches run for minutes, and some agents give up after one."""


@dataclass(frozen=True)
class Agent:
    """`config` and `skills`: by scope, from the project's folder or the home folder. `path`: of kerf's entry in the configuration. `entry`: what
    it says besides command and arguments. `folder`: by scope, what the agent replaces by the workspace where it starts servers elsewhere."""

    name: str
    config: Mapping[str, str]
    skills: Mapping[str, str]
    path: tuple[str, ...] = ("mcpServers", "kerf")
    entry: Mapping[str, Any] = field(default_factory=dict)
    folder: Mapping[str, str] = field(default_factory=dict)
    next: str = ""

    def config_file(self, scope: str) -> Path:
        return _base(scope) / _moved(self.name, scope, self.config[scope])

    def skill_file(self, scope: str) -> Path:
        return _base(scope) / self.skills[scope] / "kerf" / "SKILL.md"

    def server(self, scope: str) -> dict[str, Any]:
        """Kerf's entry. The command is absolute: agents with windows do not see a virtual environment's PATH; some pass on no environment either."""
        command, *arguments = _kerf()
        arguments += ["mcp", *(["--folder", self.folder[scope]] if scope in self.folder else [])]
        home = os.environ.get("KERF_HOME")
        return {
            **({"type": "stdio"} if self.path[0] != "mcp_servers" and self.name != "gemini" else {}),
            "command": command,
            "args": arguments,
            **self.entry,
            **({"env": {"KERF_HOME": str(Path(home).absolute())}} if home else {}),
        }


def _base(scope: str) -> Path:
    return Path.cwd() if scope == "project" else Path.home()


def _moved(agent: str, scope: str, path: str) -> str:
    """Where the agent's own environment variable puts its user configuration."""
    moved = {"codex": ("CODEX_HOME", "config.toml"), "claude": ("CLAUDE_CONFIG_DIR", ".claude.json")}.get(
        agent
    )
    if scope == "user" and moved and (home := os.environ.get(moved[0])):
        return str(Path(home) / moved[1])
    return path


def _kerf() -> list[str]:
    script = Path(sys.executable).with_name("kerf")
    return [str(script)] if script.exists() else [sys.executable, "-P", "-m", "kerf.cli"]


def _vscode_user() -> str:
    if sys.platform == "darwin":
        return "Library/Application Support/Code/User/mcp.json"
    return ".config/Code/User/mcp.json"


AGENTS: Mapping[str, Agent] = {
    a.name: a
    for a in (
        Agent(
            "claude",
            {"project": ".mcp.json", "user": ".claude.json"},
            {"project": ".claude/skills", "user": ".claude/skills"},
            next="start `claude` here and approve the server; `/mcp` shows it",
        ),
        Agent(
            "codex",
            {"project": ".codex/config.toml", "user": ".codex/config.toml"},
            {"project": ".agents/skills", "user": ".agents/skills"},
            path=("mcp_servers", "kerf"),
            entry={"startup_timeout_sec": 20, "tool_timeout_sec": LONG_S},
            next="start `codex`; a project's file counts where you trust the project; `/mcp` shows it",
        ),
        Agent(
            "cursor",
            {"project": ".cursor/mcp.json", "user": ".cursor/mcp.json"},
            {"project": ".cursor/skills", "user": ".cursor/skills"},
            folder={"project": "${workspaceFolder}"},
            next="switch the server on in Cursor's settings, under MCP",
        ),
        Agent(
            "gemini",
            {"project": ".gemini/settings.json", "user": ".gemini/settings.json"},
            {"project": ".gemini/skills", "user": ".gemini/skills"},
            entry={"timeout": LONG_S * 1000},
            next="start `gemini`; `/mcp` shows it",
        ),
        Agent(
            "vscode",
            {"project": ".vscode/mcp.json", "user": _vscode_user()},
            {"project": ".github/skills", "user": ".copilot/skills"},
            path=("servers", "kerf"),
            folder={"project": "${workspaceFolder}", "user": "${workspaceFolder}"},
            next="start the server from the file's own button in VS Code, or with `MCP: List Servers`",
        ),
    )
}
