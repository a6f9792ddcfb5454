"""Certifications in a running factory: killed at any of their lines, cancelled, two at once; and what they give, verified elsewhere."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import models
import psutil
import pytest
from running_factory import RunningFactory, wait_for
from securesystemslib.dsse import Envelope
from securesystemslib.signer._key import SSlibKey

from muster.attestation.keys import read_public_key
from muster.client.errors import WorkInterrupted
from muster.vocabulary.states import SessionState
from muster.wire import control

Bundles = Callable[..., Path]


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFactory]:
    """One that works on two sessions at once, whatever machine this is."""
    started = RunningFactory(
        tmp_path_factory.mktemp("factory") / "home", environment={"MUSTER_CERTIFICATION_AT_ONCE": "2"}
    )
    yield started
    started.close()


def asked(factory: RunningFactory, bundles: Bundles, step: int) -> tuple[str, str]:
    """A version that is being examined: its name, the session."""
    version = factory.as_("ana").register(bundles(f"adds-{step}", models.Adds(step))).version
    return version, factory.as_("ana").certify(version, wait=False).session


def said(factory: RunningFactory, session: str, line: str) -> control.Session:
    """The session, once it has said a line that begins so."""

    def look() -> control.Session | None:
        found = factory.as_("ana").session(session)
        return found if any(one.startswith(line) for one in found.progress) else None

    found: control.Session = wait_for(look, told=line)
    return found


def over(factory: RunningFactory, session: str) -> control.Session:
    """The session, once it has come to its end."""
    found = list(factory.as_("ana").follow_session(session))[-1]
    return factory.as_("ana").session(found.id)


def workers(factory: RunningFactory) -> list[psutil.Process]:
    """The processes in which sessions are worked on: those that the executor's nursery has forked."""
    executor = psutil.Process(factory.processes("executor")[0])
    return [process for nursery in executor.children() for process in nursery.children() if _is_forked(nursery)]


def _is_forked(process: psutil.Process) -> bool:
    """Whether it is the executor's own copy, and no program that the executor has started."""
    return "muster.bootstrap.process" in process.cmdline()


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def test_a_session_outlives_its_process_and_its_executor(factory: RunningFactory, bundles: Bundles) -> None:
    """Killed while the model loads, and while it is measured: the same session passes in the end, with one certificate."""
    version, session = asked(factory, bundles, 21)
    said(factory, session, "model-loads: does")
    (worker,) = wait_for(lambda: workers(factory))
    first = family(worker)
    worker.kill()
    wait_for(lambda: not any(one.is_running() and one.status() != "zombie" for one in first), told="nothing is left")
    wait_for(lambda: factory.as_("ana").session(session).attempt == 2, told="begun again")
    wait_for(lambda: said(factory, session, "begun again: attempt 2"))
    wait_for(lambda: _lines_of(factory, session, "one-row-latency: how"), told="it is measured")
    second = [one for worker in workers(factory) for one in family(worker)]
    factory.restarted("executor")
    found = over(factory, session)
    assert (found.state, found.attempt) == (SessionState.PASSED, 3), found.progress
    assert not any(one.is_running() and one.status() != "zombie" for one in second)
    assert [one.session for one in factory.as_("ana").certificates(version).certificates] == [session]
    told = "\n".join(found.progress)
    assert "interrupted: its process was ended by SIGKILL" in told
    assert "interrupted: its executor executor-0 ended" in told
    assert "contract-holds: made before the interruption, and kept" in told


def test_an_executor_whose_nursery_is_killed_is_replaced(factory: RunningFactory, bundles: Bundles) -> None:
    """What was worked on and what waited is done by the next executor, and has died of nothing."""
    before = factory.processes("executor")[0]
    version, session = asked(factory, bundles, 29)
    said(factory, session, "environment-builds: can")
    (nursery,) = [one for one in psutil.Process(before).children() if _is_forked(one)]
    nursery.kill()
    found = over(factory, session)
    assert (found.state, found.attempt) == (SessionState.PASSED, 2), found.progress
    assert not [line for line in found.progress if "was ended by" in line or "executor-0 ended" in line]
    assert [one.session for one in factory.as_("ana").certificates(version).certificates] == [session]
    assert factory.processes("executor")[0] != before


def _lines_of(factory: RunningFactory, session: str, line: str) -> int:
    """How many lines of the last attempt begin so."""
    lines = list(factory.as_("ana").session(session).progress)
    begun = max((number for number, one in enumerate(lines) if one.startswith("begun again")), default=0)
    return sum(one.startswith(line) for one in lines[begun:])


def test_a_host_that_dies_is_an_answer(factory: RunningFactory, bundles: Bundles) -> None:
    """It may be the model's doing: the check fails by name, and the session comes to its end at once."""
    version, session = asked(factory, bundles, 22)
    said(factory, session, "one-row-latency: how")
    (worker,) = wait_for(lambda: workers(factory))
    hosts = [one for one in family(worker) if "muster_host" in " ".join(one.cmdline())]
    assert hosts
    for host in hosts:
        os.kill(host.pid, signal.SIGKILL)
    found = over(factory, session)
    assert found.state is SessionState.FAILED
    assert found.result is not None
    failed = {check["name"]: check["figure"] for check in found.result["checks"] if not check["passed"]}
    assert failed["one-row-latency"] == "runtimes.host-gone", failed
    assert factory.as_("ana").certify(version).passed, "it was not the model's doing"


def test_two_are_worked_on_at_once_and_one_is_cancelled(factory: RunningFactory, bundles: Bundles) -> None:
    """The cancelled one's processes end, whoever waits for it is told, the other one passes."""
    for step in (23, 24):  # made before, so that the first is not over when the second is asked for
        bundles(f"adds-{step}", models.Adds(step))
    first, second = asked(factory, bundles, 23)[1], asked(factory, bundles, 24)[1]
    both = wait_for(lambda: len(found := workers(factory)) == 2 and found, told="two at once")
    families = {worker.pid: family(worker) for worker in both}
    said(factory, first, "environment-builds: can")
    done = factory.muster(
        "session", "cancel", first, "--reason", "the wrong one", token=factory.tokens["ana"], url=True
    )
    assert done["state"] == "cancelled"
    wait_for(lambda: len(workers(factory)) == 1, told="one is left")
    left = {worker.pid for worker in workers(factory)}
    gone = [one for pid, members in families.items() if pid not in left for one in members]
    assert gone
    assert not any(one.is_running() and one.status() != "zombie" for one in gone)
    assert over(factory, second).state is SessionState.PASSED
    cancelled = factory.as_("ana").session(first)
    assert cancelled.progress[-1] == "cancelled by ana: the wrong one"
    with pytest.raises(WorkInterrupted, match="cancelled"):
        factory.as_("ana")._finished(cancelled, None, 1.0)


def test_a_certificate_is_verified_without_the_factory(
    factory: RunningFactory, bundles: Bundles, tmp_path: Path
) -> None:
    """Exported, and verified by our command with a public key alone, and by a library that is not ours; a changed one is not."""
    version = factory.as_("ana").register(bundles("adds-25", models.Adds(25))).version
    assert factory.as_("ana").certify(version).passed
    file, key = tmp_path / "certificate.json", tmp_path / "factory.pem"
    token = {"token": factory.tokens["ana"], "url": True}

    def muster(*arguments: str, code: int = 0) -> Any:
        return factory.muster("certificate", *arguments, code=code, **token)  # type: ignore[arg-type]

    muster("export", version, "-o", str(file))
    key.write_text(muster("key")["public_key"])
    offline = muster("verify", str(file), "--key", str(key))
    online = muster("verify", version)
    assert (offline["good"], online["good"], offline["digest"]) == (True, True, online["digest"])
    assert online["digest"] == factory.as_("ana").version(version).digest
    public = read_public_key(key.read_bytes(), of="the factory")
    theirs = SSlibKey(public.id, "ed25519", "ed25519", {"public": public.key.public_bytes_raw().hex()})
    assert set(Envelope.from_dict(json.loads(file.read_text())).verify([theirs], 1)) == {public.id}
    assert (
        muster("verify", str(file), "--key", str(key), "--digest", "sha256:" + "0" * 64, code=1)["problems"][0]["code"]
        == "subject"
    )
    changed = json.loads(file.read_text())
    changed["signatures"][0]["sig"] = "A" * 86 + "=="
    file.write_text(json.dumps(changed))
    assert muster("verify", str(file), "--key", str(key), code=1)["problems"][0]["code"] == "signature"
    file.write_text("{}")
    assert muster("verify", str(file), "--key", str(key), code=2)["code"] == "attestation.malformed"
    private = factory.home / "keys" / "certificates.pem"
    assert private.stat().st_mode & 0o777 == 0o600
