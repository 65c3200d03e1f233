"""A seccomp filter written as classic BPF (linux/seccomp.h, linux/filter.h), installed through prctl.

Two answers besides "allowed": `KILL` ends the process with SIGSYS, which no handler can catch, so an attempt cannot be hidden;
`DENY` fails with EPERM, for what harmless code also tries."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass

from kerf.sandbox import linux

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
DENY = ERRNO | errno.EPERM
ABSENT = ERRNO | errno.ENOSYS
_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CLONE_THREAD = 0x00010000

# name: (x86-64, AArch64); -1 where the call does not exist
_FOREIGN = {  # reach other processes, the network or the kernel
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "setns": (308, 268), "unshare": (272, 97), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "process_madvise": (440, 440), "open_by_handle_at": (304, 265),
    "shmget": (29, 194), "shmat": (30, 196), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "init_module": (175, 105), "finit_module": (313, 273),
    "kexec_load": (246, 104), "reboot": (169, 142), "settimeofday": (164, 170), "clock_settime": (227, 112), "swapon": (167, 224),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "mount_setattr": (442, 442), "acct": (163, 89),
}  # fmt: skip
_QUIET = {  # change priorities, timers, limits, files or what belongs to files (Landlock lets their owner do that): harmless code may try
    "setpriority": (141, 140), "sched_setscheduler": (144, 119), "sched_setattr": (314, 274), "sched_setparam": (142, 118),
    "setitimer": (38, 103), "alarm": (37, -1), "timer_create": (222, 107), "timerfd_create": (283, 85), "setrlimit": (160, 164),
    "creat": (85, -1), "unlink": (87, -1), "unlinkat": (263, 35), "rename": (82, -1), "renameat": (264, 38), "renameat2": (316, 276),
    "mkdir": (83, -1), "mkdirat": (258, 34), "rmdir": (84, -1), "link": (86, -1), "linkat": (265, 37), "symlink": (88, -1),
    "symlinkat": (266, 36), "mknod": (133, -1), "mknodat": (259, 33), "truncate": (76, 45), "chmod": (90, -1), "fchmodat": (268, 53),
    "memfd_create": (319, 279), "inotify_init1": (294, 26), "fanotify_init": (300, 262), "personality": (135, 92), "vmsplice": (278, 75),
    "fchmod": (91, 52), "fchmodat2": (452, 452), "chown": (92, -1), "fchown": (93, 55), "lchown": (94, -1), "fchownat": (260, 54),
    "utime": (132, -1), "utimes": (235, -1), "futimesat": (261, -1), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "setxattrat": (463, 463), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466), "adjtimex": (159, 171), "clock_adjtime": (305, 266), "name_to_handle_at": (303, 264), "memfd_secret": (447, 447),
}  # fmt: skip
_EXEC = {"execve": (59, 221), "execveat": (322, 281)}
_FORK = {"fork": (57, -1), "vfork": (58, -1)}
_CALL = {"clone": (56, 220), "clone3": (435, 435), "open": (2, -1), "openat": (257, 56), "openat2": (437, 437),
         "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "prctl": (157, 167), "rt_sigqueueinfo": (129, 138),
         "rt_tgsigqueueinfo": (297, 240), "prlimit64": (302, 261)}  # fmt: skip


@dataclass(frozen=True)
class Filter:
    """`threads`: may start threads; `children`: may fork and exec; `files`: may open files for writing and change timers and limits."""

    threads: bool = False
    children: bool = False
    files: bool = False


def supported() -> bool:
    return platform.machine() in _ARCH


def install(wanted: Filter) -> None:
    """Put the filter on this process for good. Needs no_new_privs. OSError where the kernel refuses."""
    code = program(wanted, platform.machine(), os.getpid())
    buffer = ctypes.create_string_buffer(b"".join(code))
    fprog = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
    holder = ctypes.create_string_buffer(fprog)
    linux.prctl(linux.PR_SET_SECCOMP, 2, ctypes.addressof(holder))


def program(wanted: Filter, machine: str, pid: int) -> list[bytes]:
    """The BPF instructions."""
    column = 0 if machine == "x86_64" else 1
    code = [_load(4), _jump(0x15, _ARCH[machine], 1, 0), _ret(KILL), _load(0)]
    if machine == "x86_64":
        code += [_jump(0x35, 0x40000000, 0, 1), _ret(KILL)]  # the x32 numbers would go round the list
    for names, answer in _plain(wanted):
        for numbers in names.values():
            code += _when(numbers[column], [_ret(answer)])
    for name, body in _judged(wanted, pid):
        code += _when(_CALL[name][column], body)
    return [*code, _ret(ALLOW)]


def _plain(wanted: Filter) -> list[tuple[dict[str, tuple[int, int]], int]]:
    lists: list[tuple[dict[str, tuple[int, int]], int]] = [(_FOREIGN, KILL)]
    if not wanted.files:
        lists.append((_QUIET, DENY))
    if not wanted.children:
        lists += [(_EXEC, KILL), (_FORK, KILL)]
    return lists


def _judged(wanted: Filter, pid: int) -> list[tuple[str, list[bytes]]]:
    """Calls whose arguments decide. In a pid namespace `pid` is what the process itself sees, and so does the filter."""
    rules: list[tuple[str, list[bytes]]] = []
    if not wanted.children:
        only_me = [_load(16), _jump(0x15, pid, 1, 0), _ret(KILL), _ret(ALLOW)]
        rules += [
            ("kill", only_me),
            ("tgkill", only_me),
            ("rt_sigqueueinfo", [_ret(KILL)]),
            ("rt_tgsigqueueinfo", [_ret(KILL)]),
            ("prlimit64", [_load(16), _jump(0x15, 0, 1, 0), _ret(DENY), _ret(ALLOW)]),  # of others: no
            ("tkill", [_ret(DENY)]),
        ]
        threads = [_load(16), _jump(0x45, _CLONE_THREAD, 1, 0), _ret(KILL), _ret(ALLOW)]
        rules += [
            ("clone", threads if wanted.threads else [_ret(KILL)]),
            ("clone3", [_ret(ABSENT if wanted.threads else KILL)]),
        ]
        death = [_load(16), _jump(0x15, linux.PR_SET_PDEATHSIG, 0, 1), _ret(DENY), _ret(ALLOW)]
        rules.append(("prctl", death))
    if not wanted.files:
        for name, argument in (("open", 1), ("openat", 2)):
            rules.append(
                (name, [_load(16 + 8 * argument), _jump(0x45, _WRITE_FLAGS, 0, 1), _ret(DENY), _ret(ALLOW)])
            )
        rules.append(("openat2", [_ret(ABSENT)]))
    return rules


def _when(number: int, body: list[bytes]) -> list[bytes]:
    """`body` (which must return) when the loaded call number is `number`."""
    return [] if number < 0 else [_jump(0x15, number, 0, len(body)), *body]


def _load(offset: int) -> bytes:
    """Load 32 bits of seccomp_data: 0 the number, 4 the architecture, 16 + 8 i the low half of argument i."""
    return struct.pack("=HBBI", 0x20, 0, 0, offset)


def _jump(kind: int, value: int, then: int, otherwise: int) -> bytes:
    """0x15 equal, 0x35 greater or equal, 0x45 any common bit."""
    return struct.pack("=HBBI", kind, then, otherwise, value)


def _ret(answer: int) -> bytes:
    return struct.pack("=HBBI", 0x06, 0, 0, answer)
