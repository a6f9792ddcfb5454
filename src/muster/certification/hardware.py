"""The machine on which something was measured: without it a latency says little."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil

from muster.wire.evidence import Grid
from muster_host.machine import cpu_model

_CGROUP = Path("/sys/fs/cgroup")
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Identity of a machine, as far as it decides how fast something runs."""

    cpu: str
    cores: int
    """That this process may run on."""
    cores_of_machine: int
    cpu_quota: float | None
    """Cores' worth of time that its control group may use; None: no limit is known."""
    mhz: float | None
    """Highest frequency that the system tells."""
    memory_mib: int
    memory_limit_mib: int | None
    """What its control group may hold; None: no limit is known."""
    kernel: str
    platform: str
    """`Linux x86_64`."""
    virtual: bool
    """Whether a hypervisor says that it is there: then neighbours may take part of the time."""

    def __str__(self) -> str:
        return f"{self.cpu}, {self.cores} cores, {self.platform}"

    def exhibit(self) -> Grid:
        """As a table for a report."""
        rows = (
            ("processor", self.cpu),
            ("cores for this process", self.cores),
            ("cores of the machine", self.cores_of_machine),
            ("quota of processor time, cores", self.cpu_quota),
            ("highest frequency, MHz", self.mhz),
            ("memory, MiB", self.memory_mib),
            ("limit of memory, MiB", self.memory_limit_mib),
            ("kernel", self.kernel),
            ("platform", self.platform),
            ("virtual machine", self.virtual),
        )
        return Grid(title="Measured on", columns=("what", "value"), rows=rows)


def machine(cgroup: Path = _CGROUP) -> Machine:
    """This machine.

    Source:
        `cpu.max` and `memory.max` of cgroup v2, `cpu.cfs_quota_us` and `memory.limit_in_bytes` of v1: Documentation/admin-guide
        of the Linux kernel.
    """
    memory = psutil.virtual_memory().total
    return Machine(
        cpu=cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        cores_of_machine=os.cpu_count() or 1,
        cpu_quota=_quota(cgroup),
        mhz=_mhz(),
        memory_mib=memory // _MIB,
        memory_limit_mib=_memory_limit(cgroup, memory),
        kernel=platform.release(),
        platform=f"{platform.system()} {platform.machine()}",
        virtual="hypervisor" in _flags(),
    )


def hardware() -> str:
    """This machine in words: `Intel(R) Xeon(R) …, 2 cores, Linux x86_64`."""
    return f"{cpu_model()}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.machine()}"


def _quota(cgroup: Path) -> float | None:
    told = _text(cgroup / "cpu.max").split()
    if len(told) != 2:
        told = [_text(cgroup / "cpu" / "cpu.cfs_quota_us"), _text(cgroup / "cpu" / "cpu.cfs_period_us")]
    try:
        quota, period = int(told[0]), int(told[1])
    except ValueError:
        return None
    return round(quota / period, 3) if quota > 0 and period > 0 else None


def _memory_limit(cgroup: Path, memory: int) -> int | None:
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limit = int(_text(cgroup / name))
        except ValueError:
            continue
        return limit // _MIB if limit < memory else None
    return None


def _mhz() -> float | None:
    try:
        return round(int(_text(Path("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"))) / 1000, 1)
    except ValueError:
        return None


def _flags() -> list[str]:
    lines = (line for line in _text(Path("/proc/cpuinfo")).splitlines() if line.startswith(("flags", "Features")))
    return next(lines, "").partition(":")[2].split()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
