"""What a certification and its hosts may take of this machine's memory, by the settings."""

import msgspec
import psutil

from muster.bootstrap.session import host_memory_mib, session_memory_mib
from muster.runtimes.parent import private_memory
from muster.settings import CertificationSettings, ServingSettings, Settings

_MIB = 2**20
WITHOUT_END = 10**9


def settings(*, host: int, session: int) -> Settings:
    """Those of an installation, with these two limits."""
    return msgspec.structs.replace(
        Settings(),
        serving=ServingSettings(host_memory_mib=host),
        certification=CertificationSettings(session_memory_mib=session),
    )


def test_a_session_gets_what_is_set_and_never_the_whole_machine() -> None:
    """Four fifths at most, whatever the setting says; 0 stays without a limit."""
    assert session_memory_mib(settings(host=0, session=300)) == 300
    assert session_memory_mib(settings(host=0, session=0)) == 0
    most = session_memory_mib(settings(host=0, session=WITHOUT_END))
    assert 0 < most <= 0.8 * psutil.virtual_memory().total / _MIB


def test_a_host_gets_what_serving_gives_it() -> None:
    """As long as its session bears that."""
    assert host_memory_mib(settings(host=100, session=1000)) == 100
    assert host_memory_mib(settings(host=100, session=0)) == 100
    assert host_memory_mib(settings(host=0, session=0)) == 0


def test_a_host_meets_its_limit_before_its_session_does() -> None:
    """Also with what the kernel allows on top, so that a model that takes too much fails, and is not broken off."""
    for host in (0, WITHOUT_END):
        given = host_memory_mib(settings(host=host, session=300))
        allowed = private_memory(given * _MIB)
        assert given == 180
        assert allowed is not None
        assert allowed < 300 * _MIB * 0.8


def test_the_machine_bounds_what_is_set_far_too_high() -> None:
    """Settings of a larger machine are no reason for a smaller one to run out of memory."""
    given = host_memory_mib(settings(host=WITHOUT_END, session=WITHOUT_END))
    assert 0 < given < 0.5 * psutil.virtual_memory().total / _MIB
