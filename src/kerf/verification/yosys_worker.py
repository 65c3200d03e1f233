"""The process that holds pyosys: an error of Yosys ends the process it runs in, and a design is code that nobody trusts.

`python -m kerf.verification.yosys_worker REPLIES SCRATCH FOLDER...`: reads one JSON list of passes a line, runs them on a fresh design and
answers one JSON line on the file descriptor REPLIES. It may write SCRATCH alone and read that, FOLDERs, and what Python itself needs.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    replies, scratch, folders = os.fdopen(int(sys.argv[1]), "w"), sys.argv[2], sys.argv[3:]
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # Yosys speaks on standard output
    os.dup2(silence, 2)
    from pyosys import libyosys

    _confine(scratch, folders)
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        design = libyosys.Design()
        for command in json.loads(line):
            libyosys.run_pass(f"tee -q -a {scratch}/yosys.log {command}", design)
        print(json.dumps({"ok": True}), file=replies, flush=True)


def _confine(scratch: str, folders: list[str]) -> None:
    from kerf.sandbox import SYSTEM, Policy, enter, isolation, python_folders

    if isolation().sufficient:
        read = (*SYSTEM, *python_folders(), *folders)
        enter(Policy(read, (scratch,), memory_bytes=16 << 30, file_bytes=4 << 30, threads=8))


if __name__ == "__main__":
    main()
