"""What a process gives up before it runs code nobody trusts."""

from __future__ import annotations

import os
import resource
import signal
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerf.sandbox import landlock, linux, seccomp

SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/dev/null", "/dev/zero",
          "/dev/urandom", "/dev/random", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu", "/sys/devices/system/node")  # fmt: skip


def python_folders() -> tuple[str, ...]:
    """Where the interpreter and its installed packages lie."""
    paths = sysconfig.get_paths()
    found = [paths[k] for k in ("stdlib", "platstdlib", "purelib", "platlib")]
    found += [str(Path(sys.base_prefix) / "lib"), *(p for p in sys.path if p.endswith("-packages"))]
    return tuple(dict.fromkeys(str(Path(p).resolve()) for p in found if Path(p).is_dir()))


@dataclass(frozen=True)
class Policy:
    """`read`, `write`: folders; `memory_bytes`: address space beyond what is mapped now; `file_bytes`: the largest file it may write;
    `children`: may fork and exec (a compiler); `threads`: how many threads it may use (1: none may be started);
    `network_namespace`, `user_namespace`: where the kernel allows them."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    memory_bytes: int = 8 << 30
    file_bytes: int = 0
    open_files: int = 256
    threads: int = 1
    children: bool = False
    namespaces: bool = True
    trust: bool = False
    limits: Mapping[str, int] = field(default_factory=dict)


def enter(policy: Policy) -> dict[str, Any]:
    """Apply `policy` to this process, for good, and say what is in force. Single-threaded processes only (namespaces).
    OSError when something that `isolation()` reports as present cannot be had; with `trust` missing pieces are left out."""
    force: dict[str, Any] = {"user": False, "network": False, "ipc": False, "landlock": 0, "seccomp": False}
    _attempt(force, "session", os.setsid, True)
    _limits(policy)
    force["limits"] = True
    if policy.namespaces:
        _namespaces(force, named=policy.children)
    linux.prctl(linux.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    if landlock.abi() > 0 or not policy.trust:
        force["landlock"] = landlock.restrict(policy.read, policy.write, execute=policy.children)
    _attempt(force, "capabilities_dropped", linux.drop_capabilities, True)
    if seccomp.supported() or not policy.trust:
        seccomp.install(seccomp.Filter(policy.threads > 1, policy.children, bool(policy.write)))
        force["seccomp"] = True
    return force


def _namespaces(force: dict[str, Any], named: bool) -> None:
    """Each on its own: a container may forbid one and allow another. `named`: this user keeps its number in its user namespace; make, for
    one, gives its children the user that it sees, which fails for one without a number."""
    who = os.getuid(), os.getgid()
    for name, flag in (
        ("user", linux.CLONE_NEWUSER),
        ("network", linux.CLONE_NEWNET),
        ("ipc", linux.CLONE_NEWIPC),
    ):
        _attempt(force, name, lambda flag=flag: linux.unshare(flag), False)
    if named and force["user"]:
        _attempt(force, "user_named", lambda: _name_user(*who), True)


def _name_user(user: int, group: int) -> None:
    """user_namespaces(7): a process may map its own user and group, once setgroups is denied."""
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _attempt(force: dict[str, Any], name: str, call: Any, harmless: bool) -> None:
    """What the machine may not allow: recorded, never assumed."""
    try:
        call()
        force[name] = True
    except OSError:
        force[name] = False


def _limits(policy: Policy) -> None:
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    wanted = {resource.RLIMIT_AS: mapped + policy.memory_bytes, resource.RLIMIT_FSIZE: policy.file_bytes,
              resource.RLIMIT_NOFILE: policy.open_files, resource.RLIMIT_CORE: 0, resource.RLIMIT_MEMLOCK: 1 << 20}  # fmt: skip
    for which, value in wanted.items():
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))
