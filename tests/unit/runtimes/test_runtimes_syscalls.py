"""The filter on system calls, run by an interpreter of its instructions as the kernel runs it."""

import errno
import struct

import pytest

from muster_host import syscalls

ALLOWED = 0x7FFF0000
REFUSED = 0x00050000
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
#: Name → number on either, from asm/unistd_64.h and asm-generic/unistd.h.
NUMBERS = {
    "read": (0, 63), "write": (1, 64), "openat": (257, 56), "mmap": (9, 222), "execve": (59, 221), "accept4": (288, 242),
    "sendmsg": (46, 211), "kill": (62, 129), "prctl": (157, 167), "exit_group": (231, 94), "futex": (202, 98),
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "ptrace": (101, 117), "mount": (165, 40), "bpf": (321, 280), "unshare": (272, 97), "clone": (56, 220),
    "clone3": (435, 435), "io_uring_setup": (425, 425), "setsid": (112, 157), "setpgid": (109, 154), "ioctl": (16, 29),
    "keyctl": (250, 219), "process_vm_readv": (310, 270), "shmget": (29, 194), "open_by_handle_at": (304, 265),
    "prlimit64": (302, 261), "sched_setaffinity": (203, 122), "sched_setattr": (314, 274), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119), "setpriority": (141, 140), "ioprio_set": (251, 30),
}  # fmt: skip
THREAD = 0x003D0F00  # as libc asks for a thread
ORDINARY = ("read", "write", "openat", "mmap", "execve", "accept4", "sendmsg", "kill", "prctl", "exit_group", "futex")


def run(steps: list[syscalls.Step], architecture: int, number: int, *arguments: int) -> int:
    """What the filter returns, as `Documentation/networking/filter.rst` says that its instructions work."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *padded)
    at, accumulator = 0, 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:
            accumulator &= value
        elif code == 0x06:
            return value
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            at += yes if holds else no


@pytest.fixture(params=sorted(ARCHITECTURES))
def machine(request: pytest.FixtureRequest) -> str:
    """An architecture that filters are made for."""
    return str(request.param)


def verdict(machine: str, name: str, *arguments: int, **how: bool) -> int:
    """What comes of a call: 0 = allowed, else the error."""
    number = NUMBERS[name][machine == "aarch64"]
    found = run(syscalls.filter_for(machine, **how), ARCHITECTURES[machine], number, *arguments)
    return 0 if found == ALLOWED else found ^ REFUSED


def test_what_every_program_needs_is_allowed(machine: str) -> None:
    """Reading, starting programs and threads, waiting, and answering whoever has connected."""
    assert {name: verdict(machine, name, may_leave=False) for name in ORDINARY} == dict.fromkeys(ORDINARY, 0)
    assert verdict(machine, "clone", THREAD) == 0
    assert verdict(machine, "socketpair", 1, 1 | 0o2000000) == 0
    assert verdict(machine, "ioctl", 0, 0x5401) == 0


@pytest.mark.parametrize(
    "name", ["ptrace", "mount", "bpf", "unshare", "keyctl", "process_vm_readv", "shmget", "open_by_handle_at"]
)
def test_what_no_model_needs_is_refused(machine: str, name: str) -> None:
    """Whatever its arguments are."""
    assert verdict(machine, name) == verdict(machine, name, 1, 2, 3, network=True) == errno.EPERM


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("socket", (2, 1, 0)),
        ("socket", (10, 2 | 0o4000, 0)),
        ("socket", (16, 3, 0)),
        ("socket", (17, 3, 0)),
        ("socket", (1, 2, 0)),
        ("socketpair", (1, 2, 0)),
        ("connect", ()),
        ("bind", ()),
        ("listen", ()),
    ],
)
def test_nothing_is_dialled_but_by_models_of_other_servers(machine: str, name: str, arguments: tuple[int, ...]) -> None:
    """Sockets of every family but Unix streams, datagrams that need no dialling, and dialling itself."""
    assert verdict(machine, name, *arguments) == errno.EACCES
    assert verdict(machine, name, *arguments, network=True) == 0


def test_what_lies_behind_pointers_is_unknown(machine: str) -> None:
    """A C library does without `clone3`, and nothing goes around the filter through a ring."""
    assert verdict(machine, "clone3") == verdict(machine, "io_uring_setup") == errno.ENOSYS


def test_namespaces_and_typing_are_told_by_their_arguments(machine: str) -> None:
    """A clone into new namespaces and keys typed into a terminal, not clones and terminals as such."""
    for flags in (0x10000000, 0x20000, 0x40000000 | THREAD, 0x80):
        assert verdict(machine, "clone", flags) == errno.EPERM, hex(flags)
    assert verdict(machine, "ioctl", 0, 0x5412) == verdict(machine, "ioctl", 0, 0x541C) == errno.EPERM


def test_a_host_keeps_its_group(machine: str) -> None:
    """Its parent may make sessions, what a model starts may not leave the one it is ended with."""
    for name in ("setsid", "setpgid"):
        assert verdict(machine, name, may_leave=True) == 0
        assert verdict(machine, name, may_leave=False) == errno.EPERM


@pytest.mark.parametrize(
    "name", ["prlimit64", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler"]
)
def test_limits_and_scheduling_are_the_callers_own(machine: str, name: str) -> None:
    """A limit on its time would end another process of this user, as no signal may: a process other than 0, the caller, is refused."""
    assert verdict(machine, name, 0, 7) == 0
    assert verdict(machine, name, 1) == verdict(machine, name, 4711, 7, network=True) == errno.EPERM


@pytest.mark.parametrize(("name", "process"), [("setpriority", 0), ("ioprio_set", 1)])
def test_priorities_are_the_callers_own(machine: str, name: str, process: int) -> None:
    """Not another process's, nor those of its group or its user, who are more than the caller."""
    assert verdict(machine, name, process, 0, 19) == 0
    for kind, of in ((process, 4711), (process + 1, 0), (process + 2, 0), (process + 1, 4711)):
        assert verdict(machine, name, kind, of, 19) == errno.EPERM, (kind, of)


def test_calls_of_other_tables_are_refused(machine: str) -> None:
    """32-bit calls have other numbers, under which a refused one would slip through."""
    steps = syscalls.filter_for(machine)
    assert run(steps, 0x40000003, 4) == REFUSED | errno.EPERM
    if machine == "x86_64":
        assert run(steps, ARCHITECTURES[machine], 0x40000000 | NUMBERS["read"][0]) == REFUSED | errno.EPERM


def test_jumps_stay_within_the_filter(machine: str) -> None:
    """Every instruction leads to one that is there, and the last returns."""
    for network in (False, True):
        steps = syscalls.filter_for(machine, network=network, may_leave=network)
        assert len(steps) < 4096
        assert steps[-1].code == 0x06
        for at, step in enumerate(steps[:-1]):
            assert at + 1 + max(step.yes, step.no) < len(steps)
            assert max(step.yes, step.no) < 256
