"""The user's own coding agent as a proposer: its command line runs headless in a prepared folder, and the candidates that appear there
are what it proposes. Whatever it says or measures itself counts for nothing: the loop's evaluator judges the files.

The folder: TASK.md says what to do; `base/` is the candidate to start from; a finished candidate is a folder `candidates/NAME/` with a
file DONE in it; its verdict appears as `verdicts/NAME.md`. `kerf mcp` is configured for it, so that it can profile and compare.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerf.core.records import Moment
from kerf.core.types import Candidate, Evaluation, KerfError
from kerf.proposers.agent.bench import Bench, Mistake
from kerf.proposers.agent.board import Board, Told
from kerf.proposers.agent.session import Turns
from kerf.proposers.agent.wording import prompt

POLL_S = 0.5
TOOL_S = 3600
"""A call of `kerf mcp` may last as long; Codex gives up after 60 s where nothing is said."""
MOST_BYTES = 1 << 20
ENDINGS = (".c", ".h", ".py", ".json")


@dataclass(frozen=True)
class Cli:
    """A headless agent: `program` on the PATH, and the rest of its command line. `where`: how to get it."""

    program: str
    words: Callable[[str, Path], Sequence[str]]
    where: str


def _claude(task: str, folder: Path) -> Sequence[str]:
    allowed = "Read,Write,Edit,Glob,Grep,Bash(ls:*),Bash(cat:*),Bash(sleep:*),mcp__kerf"
    return [
        "-p",
        task,
        "--mcp-config",
        str(folder / "mcp.json"),
        "--allowedTools",
        allowed,
        "--permission-mode",
        "acceptEdits",
    ]


def _codex(task: str, folder: Path) -> Sequence[str]:
    server = _server()
    words = [
        f"mcp_servers.kerf.command={json.dumps(server['command'])}",
        f"mcp_servers.kerf.args={json.dumps(server['args'])}",
        f"mcp_servers.kerf.tool_timeout_sec={TOOL_S}",
    ]
    return [
        "exec",
        "--skip-git-repo-check",
        "--sandbox",
        "workspace-write",
        *(x for w in words for x in ("-c", w)),
        task,
    ]


CLIS: Mapping[str, Cli] = {
    "claude-code": Cli("claude", _claude, "https://docs.claude.com/en/docs/claude-code"),
    "codex": Cli("codex", _codex, "https://developers.openai.com/codex/cli"),
}


def find(name: str) -> Path:
    """The program of the agent `name`. KerfError where it is not installed."""
    cli = CLIS[name]
    found = shutil.which(cli.program)
    if found is None:
        raise KerfError(
            f"--proposer {name} starts the program `{cli.program}`, which is not on your PATH. Install it and log in ({cli.where}), "
            "or use --proposer agent with --model, or no model at all."
        )
    return Path(found)


@dataclass
class Headless:
    """`ask` waits for files. Handed-out candidates are recorded as turns, so that a resumed run asks for them again without the agent."""

    name: str
    bench: Bench
    kept: Turns
    home: Path
    """The folder lies in it, under the run's id."""
    limit_s: float = 600.0
    watch: Callable[[Moment], None] = lambda moment: None
    run: str = ""
    live: bool = False
    until: float = float("inf")
    board: Board = field(default_factory=Board)
    _round: int = 0
    _base: str = ""
    _process: subprocess.Popen[bytes] | None = None
    _taken: dict[str, str] = field(default_factory=dict)
    _known: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.home / self.run / "workspace"

    def bind(self, run: str) -> None:
        if run != self.run:
            self.run = run
            self._known = {turn: body for _, turn, body in self.kept.turns(run) if "files" in body}

    def ask(self, n: int) -> list[Candidate]:
        self._round += 1
        if known := self._known.get(self._round):
            self._taken |= known["files"]["names"]
            return [Candidate(f, None, self.name) for f in known["files"]["candidates"]]
        if not self.live:
            return []
        self._start()
        found = self._waited(n)
        kept: dict[str, Any] = {
            "candidates": [dict(c.files) for _, c in found],
            "names": {c.id: name for name, c in found},
        }
        self._taken |= kept["names"]
        said = f"{len(found)} candidate(s): {', '.join(name for name, _ in found)}"
        self.kept.record_turn(
            self.run, 0, self._round, {"files": kept, "message": {"role": "assistant", "text": said}}
        )
        return [c for _, c in found]

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        self.board.tell(candidate, evaluation)
        if name := self._taken.get(candidate.id):
            verdict = self.folder / "verdicts" / f"{name}.md"
            verdict.parent.mkdir(parents=True, exist_ok=True)
            verdict.write_text(self.bench.verdict(Told(candidate, evaluation), self.board) + "\n")

    def close(self) -> None:
        """End the agent and what it started."""
        if self._process and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    # ------------------------------------------------------------ the agent's side

    def _start(self) -> None:
        if self._process is not None:
            return
        program = find(self.name)
        self._prepare()
        task = "Read TASK.md in this folder and do what it says."
        log = (self.folder / "agent.log").open("ab")
        self._process = subprocess.Popen(
            [str(program), *CLIS[self.name].words(task, self.folder)],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        log.close()
        atexit.register(self.close)
        self.watch(Moment(f"{self.name} works in {self.folder}", passing=False))

    def _prepare(self) -> None:
        for name in ("candidates", "verdicts", "base"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        if best := self.board.best:
            self._base = best.candidate.id
            for name, text in best.candidate.files.items():
                (self.folder / "base" / name).write_text(text)
        told = {
            "handed_in": self.bench.words.handed_in,
            "system": self.bench.system(0),
            "opening": self.bench.opening(self.board),
        }
        (self.folder / "TASK.md").write_text(prompt("kerf.proposers.agent", "task", **told))
        (self.folder / "mcp.json").write_text(json.dumps({"mcpServers": {"kerf": _server()}}, indent=1))

    def _waited(self, n: int) -> list[tuple[str, Candidate]]:
        """Until something is done, the agent has ended or the time is over."""
        assert self._process is not None, "started before"
        end = min(self.until, time.monotonic() + self.limit_s)
        while True:
            ended = self._process.poll() is not None
            if found := self._finished(n):
                return found
            if ended or time.monotonic() >= end:
                self.close()
                return []
            time.sleep(POLL_S)

    def _finished(self, n: int) -> list[tuple[str, Candidate]]:
        found: list[tuple[str, Candidate]] = []
        taken = set(self._taken.values())
        for mark in sorted((self.folder / "candidates").glob("*/DONE"), key=lambda p: p.stat().st_mtime):
            name = mark.parent.name
            if name in taken or (self.folder / "verdicts" / f"{name}.md").exists() or len(found) == n:
                continue
            try:
                candidate = self._candidate(mark.parent)
            except Mistake as mistake:
                (self.folder / "verdicts" / f"{name}.md").write_text(f"not evaluated: {mistake}\n")
                continue
            found.append((name, Candidate(candidate.files, candidate.parent, self.name, {"thought": name})))
        return found

    def _candidate(self, folder: Path) -> Candidate:
        base = {"base": self._base} if self._base else {"alone": True}
        candidate = self.bench.candidate({"files": _read(folder), **base}, self.board)
        if candidate.id in self.board.told:
            raise Mistake(f"this is {self.board.name(candidate)} again, which has been judged")
        return candidate


def _read(folder: Path) -> dict[str, str]:
    """The sources in a finished candidate's folder; nothing that a link leads to."""
    paths = [
        p for p in sorted(folder.iterdir()) if p.suffix in ENDINGS and p.is_file() and not p.is_symlink()
    ]
    if sum(p.stat().st_size for p in paths) > MOST_BYTES:
        raise Mistake(f"more than {MOST_BYTES >> 20} MiB of source")
    return {p.name: p.read_text(errors="replace") for p in paths}


def _server() -> dict[str, Any]:
    return {"command": sys.executable, "args": ["-m", "kerf.cli", "mcp"]}
