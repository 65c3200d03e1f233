"""The few Linux calls that Python does not wrap: prctl, unshare, capset, mallopt, through ctypes."""

from __future__ import annotations

import ctypes
import os
import struct
from functools import cache

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_SET_THP_DISABLE = 1, 4, 22, 38, 41


@cache
def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *args: object) -> int:
    """The raw system call; raises OSError when it fails."""
    return _checked(int(libc().syscall(ctypes.c_long(number), *args)), f"system call {number}")


def prctl(option: int, *args: int) -> int:
    full = [ctypes.c_ulong(a) for a in (*args, 0, 0, 0, 0)[:4]]
    return _checked(int(libc().prctl(ctypes.c_int(option), *full)), f"prctl {option}")


def unshare(flags: int) -> None:
    _checked(int(libc().unshare(ctypes.c_int(flags))), f"unshare {flags:#x}")


def setns(fd: int, kind: int) -> None:
    _checked(int(libc().setns(ctypes.c_int(fd), ctypes.c_int(kind))), "setns")


def drop_capabilities() -> None:
    """Give up every capability of this process (capset, version 3 of its structure)."""
    header = struct.pack("=Ii", 0x20080522, 0)
    _checked(int(libc().capset(header, bytes(24))), "capset")


def _checked(result: int, what: str) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
