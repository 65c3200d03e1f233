"""What isolation this machine can give, found by trying it in a child."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from kerf.core.types import KerfError
from kerf.sandbox import landlock, linux, seccomp


@dataclass(frozen=True)
class Isolation:
    """`landlock` is the kernel's version (0: none). The minimum is Landlock and seccomp: without them a candidate could read
    the reference, or start processes that work beside the clock."""

    system: str
    landlock: int = 0
    seccomp: bool = False
    user: bool = False
    network: bool = False
    pid: bool = False
    ipc: bool = False

    @property
    def sufficient(self) -> bool:
        return self.landlock > 0 and self.seccomp

    def describe(self) -> str:
        """One line for a person."""
        have = [f"landlock {self.landlock}"] if self.landlock else []
        have += [n for n in ("seccomp", "user", "network", "pid", "ipc") if getattr(self, n)]
        lacking = f"; missing: {', '.join(self.missing)}" if self.missing else ""
        return f"{self.system}: {', '.join(have) or 'no isolation'}{lacking}"

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(
            n for n in ("landlock", "seccomp", "user", "network", "pid", "ipc") if not getattr(self, n)
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def require(self) -> None:
        """KerfError below the minimum."""
        if not self.sufficient:
            raise KerfError(
                f"this machine cannot isolate untrusted code: missing {', '.join(n for n in self.missing if n in ('landlock', 'seccomp'))} "
                "(Linux 5.13 or newer on x86-64 or AArch64, with Landlock among its security modules). "
                "Pass --trust to run candidates that you trust as your own code."
            )


@cache
def isolation() -> Isolation:
    """Tried once per process, in forked children; about 10 ms."""
    if not sys.platform.startswith("linux"):
        return Isolation(platform.system())
    return Isolation(
        f"Linux {platform.release()} {platform.machine()}",
        landlock=landlock.abi(),
        seccomp=seccomp.supported() and _works(_filtered),
        user=_works(lambda: linux.unshare(linux.CLONE_NEWUSER)),
        network=_works(lambda: _inside(linux.CLONE_NEWNET)),
        pid=_works(lambda: linux.unshare(linux.CLONE_NEWPID)),
        ipc=_works(lambda: _inside(linux.CLONE_NEWIPC)),
    )


def _filtered() -> None:
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install(seccomp.Filter())


def _inside(flag: int) -> None:
    """A namespace for whoever is root in a user namespace of its own."""
    if os.geteuid() != 0:
        linux.unshare(linux.CLONE_NEWUSER)
    linux.unshare(flag)


def _works(call: Any) -> bool:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            call()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
