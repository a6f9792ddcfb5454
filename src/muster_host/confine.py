"""A host shuts itself in, before it runs a model's code: what the kernel then refuses, no code of the model's can take back.

Twice: the parent, before it loads anything, gives up whatever none of its models needs; a host, before it is asked anything,
all but its own bundle and folder for temporary files. Programs that a host starts inherit both.

    files        only what is named can be read or changed (Landlock)
    network      no sockets but pairs that are connected already, nothing is dialled (seccomp)
    calls        what looks into other processes or changes the machine is refused (seccomp)
    signals      none to processes outside, nor their abstract sockets (Landlock, ABI 6)
    privileges   none can be gained; root's are given up but for reading its own files (capabilities)

What this kernel cannot do is told, part by part, with the reason; whether that is enough says whoever starts the host.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import sys
import tempfile
from typing import Any, Dict, Iterator, List, Literal, Mapping, NamedTuple, Optional, Sequence

from muster_host import landlock, syscalls

#: What counts where this kernel cannot do all of it: no host starts, or hosts start and say what is lacking; or nothing is done at all.
Level = Literal["require", "best-effort", "off"]
REQUIRE: Level = "require"
BEST_EFFORT: Level = "best-effort"
OFF: Level = "off"
FILES, NETWORK, CALLS, SIGNALS, PRIVILEGES = PARTS = ("files", "network", "calls", "signals", "privileges")

#: What programs of any language need to start: their libraries, and the few files of /etc that hold no secret.
_SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/nix/store", "/gnu/store",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload", "/etc/alternatives",
    "/etc/localtime", "/etc/timezone", "/etc/locale.alias", "/etc/locale.conf", "/etc/default/locale",
    "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf", "/etc/resolv.conf",
    "/etc/gai.conf", "/etc/protocols", "/etc/services", "/etc/mime.types", "/etc/os-release", "/etc/debian_version",
    "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted", "/etc/ca-certificates",
    "/etc/crypto-policies", "/etc/fonts", "/etc/R", "/etc/OpenCL", "/etc/magic",
    "/proc", "/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm", "/sys/module/nvidia", "/sys/bus/pci", "/sys/class/drm",
)  # fmt: skip
#: Looked up when this module is loaded: whoever is shut in already lists no folders of the system's.
_SYSTEM_MATCHING = tuple(path for pattern in ("/etc/java*", "/sys/devices/pci*") for path in sorted(glob.glob(pattern)))
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_GRAPHICS_CARDS = tuple(
    path for pattern in ("/dev/nvidia*", "/dev/dri", "/dev/kfd") for path in sorted(glob.glob(pattern))
)
#: Variables that the operator hands on and that name files.
#: Variables that name the folders of version managers, with where these are otherwise, in a home; they hold programs and nothing secret.
_MANAGED = {
    "PYENV_ROOT": ".pyenv",
    "NVM_DIR": ".nvm",
    "RUSTUP_HOME": ".rustup",
    "SDKMAN_DIR": ".sdkman",
    "UV_PYTHON_INSTALL_DIR": ".local/share/uv/python",
    "JULIAUP_DEPOT_PATH": ".julia/juliaup",
}
_NAMING_FILES = ("LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")

_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _CLEAR_AMBIENT = 24, 38, 47, 4
_CAPABILITIES_V3 = 0x20080522
#: Root keeps the right to open what its home's owner could: bundles may belong to another user. Landlock bounds which.
_KEPT_CAPABILITY = 1
_LAST_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)


class NotConfinable(Exception):
    """This kernel cannot do all that is required of it."""


class Wish(NamedTuple):
    """How a process is to be shut in."""

    level: str
    """`require`, `best-effort` or `off`."""
    reads: Optional[Sequence[str]]
    """Files and folders that it may read, beside the system's and the interpreter's; None: whatever its user may."""
    scratch: str
    """The folder that it may write to."""
    network: bool = False
    """It may dial: its model is on another server."""
    is_host: bool = False
    """Nothing that it starts may leave its process group."""


class Told(NamedTuple):
    """What came of it."""

    confined: List[str]
    unconfined: Dict[str, str]
    """Part → why this kernel does not do it."""

    def document(self) -> Dict[str, Any]:
        """As a hello has it."""
        return {"confined": self.confined, "unconfined": self.unconfined}

    def and_then(self, later: "Told") -> "Told":
        """What holds after a second one on top of this: whatever one of both does, and lacks what neither does."""
        confined = [part for part in PARTS if part in self.confined or part in later.confined]
        lacking = {**self.unconfined, **later.unconfined}
        return Told(confined, {part: why for part, why in lacking.items() if part not in confined})


NOTHING = Told([], {})


def wish_of(document: Mapping[str, Any]) -> Wish:
    """The wish in a JSON object; what it does not say is what is safe."""
    reads = document.get("reads")
    return Wish(
        level=str(document.get("level") or BEST_EFFORT),
        reads=None if reads is None else [str(path) for path in reads],
        scratch=str(document.get("scratch") or ""),
        network=bool(document.get("network")),
    )


def shut_in(wish: Wish) -> Told:
    """Shut this process in, with all that it starts from now on; nothing undoes it.

    Call it while only one thread runs: the rules on files hold for the calling thread and those that it starts.

    Raises:
        NotConfinable: it is required, and this kernel cannot do all of it.
    """
    if wish.level == OFF:
        return NOTHING
    confined: List[str] = []
    lacking: Dict[str, str] = {}
    if sys.platform != "linux":
        lacking = dict.fromkeys(PARTS, "this is no Linux")
    elif _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        lacking = dict.fromkeys(PARTS, "this kernel cannot forbid new privileges: %s" % _last_error())
    else:
        _limit_files(wish, confined, lacking)
        _give_up_privileges(confined, lacking)
        _limit_calls(wish, confined, lacking)  # last: it refuses some of what the others need
    if wish.level == REQUIRE and lacking:
        raise NotConfinable("; ".join("%s: %s" % lack for lack in sorted(lacking.items())))
    return Told(confined, lacking)


def reads_of(order: Mapping[str, Any]) -> List[str]:
    """What the model of a load order has to read: its bundle, its environment, and where its program is installed."""
    found = [str(order["bundle"])]
    program = order.get("program")
    if isinstance(program, dict):
        if program.get("environment"):
            found.append(str(program["environment"]))
        argv = program.get("argv") or ()
        if argv:
            found += _installation(str(argv[0]))
    remote = order.get("remote")
    if isinstance(remote, dict) and remote.get("ca"):
        found.append(str(remote["ca"]))
    return found


def use_scratch(folder: str) -> None:
    """Temporary files and whatever is written into a home go to this folder."""
    for name in ("TMPDIR", "HOME"):
        os.environ[name] = folder
    tempfile.tempdir = None


# Files.


def _limit_files(wish: Wish, confined: List[str], lacking: Dict[str, str]) -> None:
    try:
        with landlock.Ruleset(reads=wish.reads is not None, ports=not wish.network) as rules:
            for path in _readable(wish.reads or ()):
                rules.allow(path, landlock.READS)
            for path in (*_DEVICES, *_GRAPHICS_CARDS):
                rules.allow(path, landlock.USES | landlock.READS)
            for descriptor in (
                1,
                2,
            ):  # the log: programs open /dev/stderr anew, and its end is shown when loading fails
                rules.allow("/proc/self/fd/%d" % descriptor, landlock.READ_FILE | landlock.WRITE_FILE)
            if wish.scratch:
                rules.allow(wish.scratch, landlock.READS | landlock.WRITES)
            rules.restrict()
    except OSError as error:
        lacking[FILES] = lacking[SIGNALS] = str(error)
        return
    confined.append(FILES)
    if rules.handles_signals:
        confined.append(SIGNALS)
    else:
        lacking[SIGNALS] = "this kernel's Landlock is of version %d, signals are kept in from 6 on" % landlock.abi()


def _readable(named: Sequence[str]) -> Iterator[str]:
    """All that may be read: the system's, the interpreter's, the operator's and what is named."""
    yield from _SYSTEM
    yield from _SYSTEM_MATCHING
    yield os.path.dirname(os.path.abspath(__file__))  # parts of this package are imported when they are needed
    for folder in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *sys.path}:
        if not _holds_a_home(folder):
            yield folder
    for name in _NAMING_FILES:
        for path in os.environ.get(name, "").split(os.pathsep):
            if os.path.isabs(path) and not _holds_a_home(path):
                yield path
    yield from named


def _installation(program: str) -> List[str]:
    """Where a program and its libraries are: the folder above its `bin`, if the system's administrator made it; else the program alone.

    The author of a bundle may name the program, and shall not get to read somebody's folder by naming a program in it.
    """
    found = list(_toolchains())
    for path in {os.path.abspath(program), os.path.realpath(program)}:
        above = os.path.dirname(os.path.dirname(path))
        is_installed = os.path.basename(os.path.dirname(path)) in ("bin", "sbin") and os.path.isdir(above + "/lib")
        with contextlib.suppress(OSError):
            if is_installed and os.stat(above).st_uid == 0 and not _holds_a_home(above):
                found.append(above)
                continue
        found.append(path)
    return sorted(found)


def _toolchains() -> Iterator[str]:
    """Where those who manage versions of interpreters and compilers put them: a program of theirs is a script that looks for another."""
    with contextlib.suppress(KeyError, ImportError):
        import pwd  # noqa: PLC0415 - not on every system

        home = pwd.getpwuid(os.getuid()).pw_dir
        for name, usual in _MANAGED.items():
            folder = os.environ.get(name) or os.path.join(home, usual)
            if os.path.isabs(folder) and os.path.isdir(folder) and not _holds_a_home(folder):
                yield folder


def _holds_a_home(path: str) -> bool:
    """Whether a folder is this user's home, or holds homes: allowing it would allow everything in them."""
    real = os.path.realpath(path or "/")
    with contextlib.suppress(KeyError, ImportError):
        import pwd  # noqa: PLC0415 - not on every system

        homes = {
            os.path.realpath(pwd.getpwuid(os.getuid()).pw_dir),
            os.path.realpath(os.environ.get("HOME") or "/home"),
        }
        return (
            any(home == real or home.startswith(real.rstrip("/") + "/") for home in homes if home != "/") or real == "/"
        )
    return real == "/"


# Privileges and calls.


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _give_up_privileges(confined: List[str], lacking: Dict[str, str]) -> None:
    for capability in range(_LAST_CAPABILITY + 1):
        if capability != _KEPT_CAPABILITY:
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # whoever may not has none to give up
    _libc.prctl(_PR_CAP_AMBIENT, _CLEAR_AMBIENT, 0, 0, 0)
    header, sets = _Header(_CAPABILITIES_V3, 0), (_Sets * 2)()
    if _libc.capget(ctypes.byref(header), sets) == 0:
        for index, held in enumerate(sets):
            kept = (1 << _KEPT_CAPABILITY) if index == 0 else 0
            held.effective &= kept
            held.permitted &= kept
            held.inheritable = 0
        if _libc.capset(ctypes.byref(header), sets) == 0:
            confined.append(PRIVILEGES)
            return
    lacking[PRIVILEGES] = "capabilities cannot be given up: %s" % _last_error()


def _limit_calls(wish: Wish, confined: List[str], lacking: Dict[str, str]) -> None:
    architecture = syscalls.machine()
    try:
        if architecture is None:
            raise OSError("there is no filter for this architecture")
        steps = syscalls.filter_for(architecture, network=wish.network, may_leave=not wish.is_host)
        syscalls.install(steps, architecture)
    except OSError as error:
        lacking[CALLS] = str(error)
        if not wish.network:
            lacking[NETWORK] = str(error)
        return
    confined.append(CALLS)
    if not wish.network:
        confined.append(NETWORK)


def _last_error() -> str:
    return os.strerror(ctypes.get_errno())
