"""Landlock: a process gives up, for itself and all that it starts, every file and port that it does not name.

    with Ruleset() as rules:
        rules.allow("/usr", READS)
        rules.restrict()

Rules can only ever be made narrower: a second set on top of a first allows what both allow. What the kernel is too old to handle is not
handled, and `Ruleset` says so by its attributes.

Source: Linux, Documentation/userspace-api/landlock.rst and include/uapi/linux/landlock.h, ABI 1 to 7.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import sys
from typing import Any

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
#: What may be asked of a file that is no folder.
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_NEWEST_RIGHT = {1: MAKE_SYM, 2: REFER, 3: TRUNCATE, 4: TRUNCATE}
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2
_NET_ABI, _SCOPES_ABI = 4, 6

READS = EXECUTE | READ_FILE | READ_DIR
WRITES = (
    WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM | REFER | TRUNCATE
)
#: To use a device that is there already.
USES = READ_FILE | WRITE_FILE | IOCTL_DEV
_EVERY_CHANGE = WRITES | MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV

_libc = ctypes.CDLL(None, use_errno=True)


class _RulesetAttr(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathAttr(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def abi() -> int:
    """The version of Landlock that this kernel has; 0: none, or it is switched off."""
    if sys.platform != "linux":
        return 0
    return max(0, _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION)))


class Ruleset:
    """What this process will be left with; a context manager.

    Args:
        reads: reading is handled too, so that only what is allowed can be read; otherwise only changes are.
        ports: TCP ports are handled: none can be bound or dialled.

    Raises:
        OSError: this kernel has no Landlock.
    """

    def __init__(self, *, reads: bool = True, ports: bool = True) -> None:
        version = abi()
        if not version:
            raise OSError("this kernel has no Landlock")
        newest = _NEWEST_RIGHT.get(version, IOCTL_DEV)
        self._files = (_EVERY_CHANGE | (READS if reads else 0)) & (newest * 2 - 1)
        self.handles_ports = ports and version >= _NET_ABI
        """Whether this kernel can keep ports away."""
        self.handles_signals = version >= _SCOPES_ABI
        """Whether this kernel can keep signals and abstract sockets within the set."""
        attributes = _RulesetAttr(
            self._files,
            _BIND_TCP | _CONNECT_TCP if self.handles_ports else 0,
            _ABSTRACT_SOCKETS | _SIGNALS if self.handles_signals else 0,
        )
        known = 24 if version >= _SCOPES_ABI else 16 if version >= _NET_ABI else 8
        self._set = _checked(
            _call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(known), ctypes.c_uint32(0))
        )

    def __enter__(self) -> "Ruleset":  # noqa: PYI034 - Python 3.8 has no Self
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._set)

    def allow(self, path: str, rights: int) -> None:
        """Allow rights to a file, or to a folder and all below it; what is not there is passed over, and a pipe, which is free anyway."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                self._allow(descriptor, rights)
            finally:
                os.close(descriptor)

    def _allow(self, descriptor: int, rights: int) -> None:
        allowed = rights & self._files
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISDIR(mode):
            allowed &= _OF_FILES
        if allowed and not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            rule = _PathAttr(allowed, descriptor)
            _checked(
                _call(
                    _ADD_RULE,
                    ctypes.c_int(self._set),
                    ctypes.c_int(_PATH_BENEATH),
                    ctypes.byref(rule),
                    ctypes.c_uint32(0),
                )
            )

    def restrict(self) -> None:
        """Apply it to this thread and whatever it starts from now on; `no_new_privs` has to be set."""
        _checked(_call(_RESTRICT_SELF, ctypes.c_int(self._set), ctypes.c_uint32(0)))


def _call(number: int, *arguments: Any) -> int:
    return int(_libc.syscall(ctypes.c_long(number), *arguments))


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
