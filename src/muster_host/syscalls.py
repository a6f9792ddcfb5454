"""A filter on system calls: what no model needs is refused, whatever a model's code does.

The filter is a small program that the kernel runs before each call (seccomp-BPF). It sees numbers, never what pointers point at: so it
refuses kinds of sockets as a whole, and `clone3`, whose flags lie behind a pointer, as if the kernel were older; libc then uses `clone`.
Refused calls get an error that programs know (`EPERM`, `EACCES`), no signal: whoever only tried goes on.

Source: Linux, Documentation/userspace-api/seccomp_filter.rst; numbers from asm/unistd_64.h and asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from typing import NamedTuple

_X86_64, _AARCH64 = "x86_64", "aarch64"
_ARCHITECTURES = {_X86_64: 0xC000003E, _AARCH64: 0xC00000B7}
#: Calls that are refused whatever they ask: name → numbers on x86_64 and aarch64. First those that look into or change other processes
#: and the machine; then memory and queues that are shared by name, by which hosts could speak with each other.
_REFUSED = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "migrate_pages": (256, 238), "move_pages": (279, 239),
    "perf_event_open": (298, 241), "bpf": (321, 280), "userfaultfd": (323, 282), "fanotify_init": (300, 262),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "syslog": (103, 116),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "mount": (165, 40), "umount2": (166, 39), "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268),
    "open_by_handle_at": (304, 265), "mknodat": (259, 33), "mknod": (133, None),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "sethostname": (170, 161), "setdomainname": (171, 162), "vhangup": (153, 58), "lookup_dcookie": (212, 18),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "uselib": (134, None),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193),
    "semctl": (66, 191), "semtimedop": (220, 192), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188),
    "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181),
}  # fmt: skip
#: Refused as if the kernel were older: programs do without. io_uring could dial past this filter.
_UNKNOWN = {
    "clone3": (435, 435),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
#: Refused where nothing may be dialled.
_DIALLING = {"connect": (42, 203), "bind": (49, 200), "listen": (50, 201)}
#: Refused in a host, which is ended with its group: nothing that a model starts leaves it.
_LEAVING = {"setsid": (112, 157), "setpgid": (109, 154)}
#: What they change is named by the first argument, a process or a thread: 0 is the caller itself, any other may be somebody else's.
#: Refused then, a thread of the caller's own included: the filter cannot tell them apart.
_OF_ONE = {
    "prlimit64": (302, 261), "sched_setaffinity": (203, 122), "sched_setattr": (314, 274), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
}  # fmt: skip
#: The first argument says what the second one names: a process, a group or a user. Only the caller itself, process 0, is allowed.
_OF_MANY = {"setpriority": ((141, 140), 0), "ioprio_set": ((251, 30), 1)}
_SOCKET, _SOCKETPAIR, _CLONE, _IOCTL = (41, 198), (53, 199), (56, 220), (16, 29)
_SECCOMP = {_X86_64: 317, _AARCH64: 277}

_AF_UNIX, _SOCK_STREAM, _SOCK_SEQPACKET, _SOCK_TYPE = 1, 1, 5, 0xF
_NEW_NAMESPACES = 0x7E020080
#: Terminal calls that type on somebody's behalf.
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_X32 = 0x40000000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN, _AND = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_SET_MODE_FILTER, _ALL_THREADS, _NO_SPECULATION_COST = 1, 1, 4


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("value", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


class Step(NamedTuple):
    """One instruction: what it does, how many steps to pass over if so and if not, and its value."""

    code: int
    yes: int
    no: int
    value: int


def machine() -> str | None:
    """This process's architecture, if a filter can be made for it; None otherwise."""
    name = platform.machine()
    return name if name in _ARCHITECTURES and sys.maxsize > 2**32 and sys.byteorder == "little" else None


def filter_for(architecture: str, *, network: bool = False, may_leave: bool = True) -> list[Step]:
    """The filter as instructions.

    Args:
        architecture: `x86_64` or `aarch64`.
        network: whether IPv4 and IPv6 may be spoken; otherwise only pairs of Unix sockets, and nothing is dialled.
        may_leave: whether a process may leave its group.
    """
    column = 0 if architecture == _X86_64 else 1
    steps = [
        Step(_LOAD, 0, 0, _ARCHITECTURE),
        Step(_EQUAL, 1, 0, _ARCHITECTURES[architecture]),
        _refuse(errno.EPERM),
        Step(_LOAD, 0, 0, _NUMBER),
    ]
    if architecture == _X86_64:
        steps += [Step(_AT_LEAST, 0, 1, _X32), _refuse(errno.EPERM)]
    for calls, error in (
        (_REFUSED, errno.EPERM),
        (_UNKNOWN, errno.ENOSYS),
        ({} if network else _DIALLING, errno.EACCES),
        ({} if may_leave else _LEAVING, errno.EPERM),
    ):
        for numbers in calls.values():
            number = numbers[column]
            if number is not None:
                steps += [Step(_EQUAL, 0, 1, number), _refuse(error)]
    if not network:
        steps += _when(_SOCKET[column], _unix_streams_only())
        steps += _when(_SOCKETPAIR[column], _unix_streams_only())
    for numbers in _OF_ONE.values():
        steps += _when(numbers[column], [_argument(0), Step(_EQUAL, 1, 0, 0), _refuse(errno.EPERM)])
    for numbers, a_process in _OF_MANY.values():
        itself = [_argument(0), Step(_EQUAL, 0, 2, a_process), _argument(1), Step(_EQUAL, 1, 0, 0)]
        steps += _when(numbers[column], [*itself, _refuse(errno.EPERM)])
    steps += _when(_CLONE[column], [_argument(0), Step(_ANY_BIT, 0, 1, _NEW_NAMESPACES), _refuse(errno.EPERM)])
    typing = [_argument(1), Step(_EQUAL, 1, 0, _TIOCSTI), Step(_EQUAL, 0, 1, _TIOCLINUX), _refuse(errno.EPERM)]
    steps += _when(_IOCTL[column], typing)
    steps.append(Step(_RETURN, 0, 0, _ALLOW))
    return steps


def install(steps: list[Step], architecture: str) -> None:
    """Have the kernel run a filter before every call of this process, all its threads, and whatever they start.

    Raises:
        OSError: the kernel does not take it: it knows no filters, or `no_new_privs` is not set.
    """
    instructions = (_Instruction * len(steps))(*[_Instruction(*step) for step in steps])
    program = _Program(len(steps), instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    error = 0
    for flags in (_ALL_THREADS | _NO_SPECULATION_COST, _ALL_THREADS):
        done = libc.syscall(
            ctypes.c_long(_SECCOMP[architecture]),
            ctypes.c_uint(_SET_MODE_FILTER),
            ctypes.c_uint(flags),
            ctypes.byref(program),
        )
        if done == 0:
            return
        error = ctypes.get_errno()
    raise OSError(error, os.strerror(error) if error else "a thread could not take the filter")


def _refuse(error: int) -> Step:
    return Step(_RETURN, 0, 0, _ERROR | error)


def _argument(index: int) -> Step:
    """Load the lower half of an argument, which is all that these calls look at."""
    return Step(_LOAD, 0, 0, _ARGUMENTS + 8 * index)


def _when(number: int, steps: list[Step]) -> list[Step]:
    """Steps for one call, after which it is allowed."""
    return [Step(_EQUAL, 0, len(steps) + 1, number), *steps, Step(_RETURN, 0, 0, _ALLOW)]


def _unix_streams_only() -> list[Step]:
    """A datagram could be sent to an address without dialling first; a stream cannot."""
    return [
        _argument(0),
        Step(_EQUAL, 1, 0, _AF_UNIX),
        _refuse(errno.EACCES),
        _argument(1),
        Step(_AND, 0, 0, _SOCK_TYPE),
        Step(_EQUAL, 2, 0, _SOCK_STREAM),
        Step(_EQUAL, 1, 0, _SOCK_SEQPACKET),
        _refuse(errno.EACCES),
    ]
