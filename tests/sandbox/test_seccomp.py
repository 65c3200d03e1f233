"""The numbers of system calls against the kernel's own headers, where they are installed (linux-libc-dev)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kerf.sandbox import seccomp

HEADERS = {0: "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 1: "/usr/include/asm-generic/unistd.h"}


@pytest.mark.parametrize("column", HEADERS)
def test_every_number_is_the_one_of_that_call(column: int) -> None:
    """Column 1 is AArch64, which uses the generic table."""
    path = Path(HEADERS[column])
    if not path.exists():
        pytest.skip(f"no {path} here")
    known = {n: int(v) for n, v in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text())}
    groups = (seccomp._FOREIGN, seccomp._QUIET, seccomp._EXEC, seccomp._FORK, seccomp._CALL)
    ours = {name: numbers[column] for group in groups for name, numbers in group.items()}
    newer = max(known.values())  # an older header lacks the newest calls
    wrong = {n: v for n, v in ours.items() if (known.get(n, -1) != v) and v <= newer}
    assert not wrong, f"{wrong}, expected { ({n: known.get(n) for n in wrong}) }"
