"""What kind of machine an executable file is made for: the head of an ELF file, and this process's own."""

from __future__ import annotations

import os
import struct

_MACHINES = {
    3: "i386", 8: "mips", 20: "powerpc", 21: "ppc64", 22: "s390", 40: "arm", 62: "x86_64", 183: "aarch64",
    243: "riscv", 258: "loongarch",
}  # fmt: skip
_HEAD_BYTES = 20


def machine_of(path: str) -> str | None:
    """Name of the architecture that a file is built for; None when it is no ELF file: a script, a text."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return None
    if len(head) < _HEAD_BYTES or head[:4] != b"\x7fELF":
        return None
    order = ">" if head[5] == 2 else "<"
    (number,) = struct.unpack_from(order + "H", head, 18)
    return _MACHINES.get(number, "machine %d" % number)


def own_machine() -> str | None:
    """Name of the architecture that this very process is built for."""
    return machine_of("/proc/self/exe")


def why_not_runnable(path: str) -> str | None:
    """A reason why this machine cannot run the file; None when there is none that its head shows."""
    if not os.path.isfile(path):
        return "%s is not there" % path
    if not os.access(path, os.X_OK):
        return "%s is not executable" % path
    theirs, ours = machine_of(path), own_machine()
    if theirs is not None and ours is not None and theirs != ours:
        return "%s is built for %s, this machine is %s" % (path, theirs, ours)
    return None
