"""Landlock: an unprivileged process gives up the file system except for stated folders (linux/landlock.h)."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from kerf.sandbox import linux

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
READ = READ_FILE | READ_DIR
_FS_BITS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_FILE_ONLY = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15


def abi() -> int:
    """The kernel's Landlock version; 0 where there is none."""
    try:
        return linux.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    except OSError:
        return 0


def restrict(read: Iterable[str], write: Iterable[str] = (), *, execute: bool = False) -> int:
    """From here on this process and its children reach only `read` (reading, and running with `execute`) and `write` (everything);
    no TCP from version 4, no signals or abstract sockets to the outside from version 6. Needs no_new_privs. Returns the version."""
    version = abi()
    handled = (1 << _FS_BITS.get(version, 16)) - 1
    net, scoped = 3 if version >= 4 else 0, 3 if version >= 6 else 0
    attributes = struct.pack("=QQQ", handled, net, scoped)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = linux.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    try:
        for path in read:
            _allow(ruleset, path, (READ | (EXECUTE if execute else 0)) & handled)
        for path in write:
            _allow(ruleset, path, handled)
        linux.syscall(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)
    return version


def _allow(ruleset: int, path: str, rights: int) -> None:
    if not os.path.exists(path):
        return
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights if Path(path).is_dir() else rights & _FILE_ONLY, fd)
        linux.syscall(ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint(0))
    finally:
        os.close(fd)
