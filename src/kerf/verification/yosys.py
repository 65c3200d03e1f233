"""Yosys in a warm worker process, with a time limit. What it refuses is a `YosysError` with its own words."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from kerf.core import temporary
from kerf.core.types import KerfError
from kerf.verification.deadline import OutOfTime


class YosysError(KerfError):
    """Yosys refused a design, or ended under it."""


class Yosys:
    """One worker. `scratch` is the folder that it may write; `folders` are those it may read besides. Closed workers may not be used again."""

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._temporary = temporary.folder("yosys")
        self.scratch = Path(self._temporary.name).resolve()
        readable, replies = os.pipe()
        where = [str(f.resolve()) for f in folders]
        command = [
            sys.executable,
            "-m",
            "kerf.verification.yosys_worker",
            str(replies),
            str(self.scratch),
            *where,
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, pass_fds=(replies,), text=True, cwd=where[0] if where else self.scratch
        )  # fmt: skip
        os.close(replies)
        self._replies = os.fdopen(readable)
        self._answer(60.0, "starting Yosys")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def run(self, passes: Sequence[str], timeout_s: float = 60.0) -> str:
        """Run `passes` on an empty design; what Yosys logged. YosysError when it refuses, OutOfTime when it takes longer; the worker is then
        gone."""
        log = self.scratch / "yosys.log"
        log.write_text("")
        assert self._process.stdin
        self._process.stdin.write(json.dumps(list(passes)) + "\n")
        self._process.stdin.flush()
        self._answer(timeout_s, "synthesis")
        return log.read_text(errors="replace")

    def _answer(self, timeout_s: float, what: str) -> None:
        ready, _, _ = select.select([self._replies], [], [], timeout_s)
        if not ready:
            self.close()
            raise OutOfTime(
                f"the time was up before {what} ended: give it longer (--minutes), or a smaller design"
            )
        if not self._replies.readline():
            said = self._last_words()
            self.close()
            raise YosysError(said)

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = (self.scratch / "yosys.log").read_text(errors="replace").splitlines()
            errors = [line for line in lines if "ERROR" in line or " error: " in line]
            if errors:
                return "\n".join(errors[:5]).replace(str(self.scratch) + "/", "")
        return "Yosys ended without a word: the design may be too large for this machine's memory"

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._replies.close()
        self._temporary.cleanup()


_WARM: dict[tuple[str, ...], Yosys] = {}
KEPT = 3  # a reference, an answer and one more: each holds some 100 MB


def warm(folders: Sequence[Path] = ()) -> Yosys:
    """A worker that may read `folders`: one of the last few where it still lives."""
    key = tuple(str(f.resolve()) for f in folders)
    worker = _WARM.pop(key, None)
    if worker is None or not worker.alive:
        while len(_WARM) >= KEPT:
            _WARM.pop(next(iter(_WARM))).close()
        worker = Yosys(folders)
    _WARM[key] = worker
    return worker


@atexit.register
def _close_all() -> None:
    for worker in _WARM.values():
        worker.close()
