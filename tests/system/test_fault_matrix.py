"""What a model can do wrong, one thing after the other, in a factory that runs: the callers are answered, by the others.

Every test is a row of the table in docs/reliability.md. One champion does what its input asks for; a canary stands by.
"""

import asyncio
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import models
import psutil
import pytest
from load import run_load
from models import asks_for
from running_factory import RunningFactory, wait_for

_HOST_MEMORY_MIB = 400
#: How long a front waits before it calls a host hung, and some time for it to come back.
_HUNG_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFactory]:
    """A running factory whose hosts may have 400 MiB each."""
    started = RunningFactory(
        tmp_path_factory.mktemp("factory") / "home",
        environment={"MUSTER_SERVING_HOST_MEMORY_MIB": str(_HOST_MEMORY_MIB)},
    )
    yield started
    started.close()


@pytest.fixture(scope="module")
def good(factory: RunningFactory, bundles: Callable[..., Path]) -> str:
    """An accepted version that does nothing wrong."""
    return factory.accepted(bundles("adds-1", models.Adds(1)))


@pytest.fixture(scope="module")
def bad(factory: RunningFactory, bundles: Callable[..., Path]) -> str:
    """An accepted version that does whatever it is asked for, and declares that no score is below -1000."""
    bundle = bundles("misbehaves", models.Misbehaves(10))
    described = bundle / "muster.toml"
    output = '{ name = "score", datatype = "FP64" }'
    text = described.read_text()
    assert output in text
    described.write_text(text.replace(output, output.replace(" }", ", declared = { minimum = -1000.0 } }")))
    return factory.accepted(bundle)


@pytest.fixture(scope="module")
def released(factory: RunningFactory, good: str, bad: str) -> Callable[..., str]:
    """Releases the bad version as champion and the good one as canary on an endpoint of that name, once."""
    there: set[str] = set()

    def release(endpoint: str, *, deadline: str = "8s", patience: str = "6s") -> str:
        if endpoint not in there:
            factory.release(endpoint, bad, canaries=[good], deadline=deadline, patience=patience)
            there.add(endpoint)
        return endpoint

    return release


@pytest.fixture(scope="module", autouse=True)
def hung(factory: RunningFactory, good: str, bad: str, released: Callable[..., str]) -> tuple[str, int]:
    """An endpoint whose champion hangs from now on, and that champion's process."""
    endpoint = released("hung", deadline="600ms", patience="200ms")
    wait_for(lambda: factory.score(endpoint, {"x": 1.0}).variants == [bad])
    (pid,) = factory.processes("host", f"{endpoint}/{bad}")
    assert factory.score(endpoint, {"x": asks_for("hangs")}).variants == [good]
    return endpoint, pid


def champion_is_back(factory: RunningFactory, endpoint: str, bad: str, *, within_s: float = 30.0) -> None:
    """Wait until the champion answers again; requests are apart, so that a probation has what it needs to end."""

    def answers() -> bool:
        time.sleep(0.05)
        return bool(factory.score(endpoint, {"x": 1.0}).variants == [bad])

    wait_for(answers, within_s=within_s, told=f"the champion of {endpoint} answers again")


def error_of(factory: RunningFactory, request_id: str, version: str) -> str:
    """What is on record about the answer of one version that has failed."""
    record = factory.as_("olga").request(request_id)
    (given,) = [given for given in record.answers if given.version == version]
    assert given.status == "failed", given
    return given.error or ""


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("raises", "ValueError: this is too much"),
        ("too_many_rows", "has 2 rows; 1 rows went in"),
        ("text", "type str in row 0; its contract says FP64"),
        ("nan", "is nan in row 0"),
        ("infinity", "is inf in row 0"),
        ("out_of_range", "its contract declares at least -1000"),
        ("sys_exit", "SystemExit: 3"),
        ("allocates", "MemoryError"),
    ],
)
def test_a_wrong_answer_counts_as_none(
    factory: RunningFactory, released: Callable[..., str], good: str, bad: str, fault: str, told: str
) -> None:
    """The canary answers at once, the record says what was wrong, and the host lives on."""
    endpoint = released("wrong")
    before = factory.processes("host", f"{endpoint}/{bad}")
    answer = factory.score(endpoint, {"x": asks_for(fault)})
    assert (answer.variants, answer.reasons) == ([good], ["fallback_error"])
    assert answer["score"] == [asks_for(fault) + 1]
    assert told in error_of(factory, answer.request_id, bad)
    assert factory.score(endpoint, {"x": 2.0}).variants == [bad]
    assert factory.processes("host", f"{endpoint}/{bad}") == before


@pytest.mark.parametrize("fault", ["os_exit", "sigkill", "segfaults"])
def test_a_request_that_ends_hosts_is_quarantined(
    factory: RunningFactory, released: Callable[..., str], good: str, bad: str, fault: str
) -> None:
    """It ends two hosts and no third; the canary answers it, the champion is back for all others."""
    endpoint = released(f"ends-{fault.replace('_', '-')}")
    champion_is_back(factory, endpoint, bad)
    poison = {"x": asks_for(fault)}
    assert factory.score(endpoint, poison).variants == [good]
    champion_is_back(factory, endpoint, bad)
    before = factory.processes("host", f"{endpoint}/{bad}")
    again = factory.score(endpoint, poison)
    assert (again.variants, again.reasons) == ([good], ["fallback_error"])
    assert "quarantined" in error_of(factory, again.request_id, bad)
    assert factory.processes("host", f"{endpoint}/{bad}") == before


def test_neighbours_in_the_batch_of_a_poison_are_not_punished(
    factory: RunningFactory, released: Callable[..., str], good: str, bad: str
) -> None:
    """Under load, a request that segfaults costs no other request its champion, though it shared a batch with them."""
    endpoint = released("neighbours")
    champion_is_back(factory, endpoint, bad)
    until = time.monotonic() + 2.5
    rows = [{"x": float(number)} for number in range(20)]
    with ThreadPoolExecutor(1) as beside:
        poisoned = beside.submit(_later, 1.0, lambda: factory.score(endpoint, {"x": asks_for("segfaults", 7)}))
        outcome = asyncio.run(
            run_load(
                factory.scoring, factory.tokens["shop"], endpoint, rows,
                connections=8, until=lambda: time.monotonic() > until,
            )
        )  # fmt: skip
        assert poisoned.result(30).variants == [good]
    assert not outcome.errors
    assert not outcome.failed
    assert outcome.share(reason="champion", variant=bad) == 1.0


def test_a_model_that_sleeps_now_and_then_delays_nobody(
    factory: RunningFactory, bundles: Callable[..., Path], good: str
) -> None:
    """Two seconds every tenth call: all are answered without waiting for it, by the champion where it can."""
    sleepy = factory.accepted(bundles("sleeps-every", models.SleepsEvery(20, every=10, sleep_s=2.0)))
    factory.release("sleepy", sleepy, canaries=[good], deadline="500ms", patience="200ms")
    until = time.monotonic() + 6
    outcome = asyncio.run(
        run_load(
            factory.scoring, factory.tokens["shop"], "sleepy", [{"x": 500.0}],
            connections=6, until=lambda: time.monotonic() > until, rate=40,
        )
    )  # fmt: skip
    assert not outcome.errors
    assert not outcome.failed
    assert max(answer.took_s for answer in outcome.answers) < 1.9  # nobody has waited for it
    assert outcome.share(variant=sleepy) > 0
    assert outcome.share(variant=good) > 0
    assert outcome.share(variant=sleepy) + outcome.share(variant=good) == pytest.approx(1.0)


def test_a_stopped_host_is_ended_and_replaced(
    factory: RunningFactory, released: Callable[..., str], good: str, bad: str
) -> None:
    """SIGSTOP: the canary answers meanwhile; the keeper ends what does not run, and another host takes its place."""
    endpoint = released("stopped", deadline="600ms", patience="200ms")
    champion_is_back(factory, endpoint, bad)
    (before,) = factory.processes("host", f"{endpoint}/{bad}")
    assert factory.score(endpoint, {"x": asks_for("sigstop")}).variants == [good]
    wait_for(
        lambda: factory.processes("host", f"{endpoint}/{bad}") not in ([], [before]), told="another host has its place"
    )
    champion_is_back(factory, endpoint, bad)


def test_a_leak_ends_its_own_host_and_no_other(
    factory: RunningFactory, released: Callable[..., str], good: str, bad: str, hung: tuple[str, int]
) -> None:
    """The host that leaks stays below its limit and is replaced, again and again; every request is answered."""
    endpoint = released("leaks")
    champion_is_back(factory, endpoint, bad)
    others = set(factory.processes("host")) - set(factory.processes("host", f"{endpoint}/{bad}"))
    seen: set[int] = set()
    largest = 0
    for number in range(60):
        answer = factory.score(endpoint, {"x": asks_for("leaks", number)})
        assert answer.variants[0] in {good, bad}
        for pid in factory.processes("host", f"{endpoint}/{bad}"):
            seen.add(pid)
            largest = max(largest, _resident(pid))
        if len(seen) > 2:
            break
        time.sleep(0.02)
    assert len(seen) > 2
    assert largest < _HOST_MEMORY_MIB * 1024 * 1024 * 1.3
    champion_is_back(factory, endpoint, bad)
    assert others - {hung[1]} <= set(factory.processes("host")), "another host was hurt"


def test_output_without_end_fills_no_disk_and_no_memory(
    factory: RunningFactory, released: Callable[..., str], bad: str
) -> None:
    """The model is answered for, its log is cut, and the keeper is as small as before."""
    endpoint = released("floods")
    champion_is_back(factory, endpoint, bad)
    (keeper,) = factory.processes("keeper")
    before = _resident(keeper)
    for number in range(5):
        assert factory.score(endpoint, {"x": asks_for("floods", number)}).variants == [bad]  # 60 MB each
    logs = list((factory.home / "logs").glob("hosts-*.log*"))
    wait_for(lambda: sum(log.stat().st_size for log in logs) < 40_000_000, told="the log is cut")
    assert _resident(keeper) - before < 30_000_000


@pytest.mark.parametrize("fault", ["half_a_frame", "garbage", "absurd_length"])
def test_a_host_that_breaks_the_protocol_costs_its_own_answers(
    factory: RunningFactory, released: Callable[..., str], good: str, bad: str, fault: str
) -> None:
    """Half a frame, noise, a length of 4 GiB: the canary answers, the front's memory stays flat, the champion comes back."""
    endpoint = released("frames", deadline="2s", patience="1s")
    champion_is_back(factory, endpoint, bad)
    (front,) = factory.processes("front")
    before = _resident(front)
    answer = factory.score(endpoint, {"x": asks_for(fault)})
    assert answer.variants == [good]
    largest = 0
    for _ in range(20):
        time.sleep(0.05)
        largest = max(largest, _resident(front))
    assert largest - before < 300_000_000
    champion_is_back(factory, endpoint, bad, within_s=_HUNG_WITHIN_S)
    assert factory.processes("front") == [front]


def test_a_challenger_with_many_threads_costs_the_champion_nothing(
    factory: RunningFactory, released: Callable[..., str], good: str, bad: str
) -> None:
    """Sixteen spinning threads are confined to one processor, at the lowest priority; every answer is the champion's."""
    factory.release("spins", good, challengers=[bad], deadline="2s")
    assert factory.score("spins", {"x": asks_for("spins")}).variants == [good]
    (pid,) = factory.processes("host", f"spins/{bad}")

    def is_confined() -> bool:
        threads = [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
        return len(threads) > 16 and all(
            len(os.sched_getaffinity(thread)) == 1 and os.getpriority(os.PRIO_PROCESS, thread) == 19
            for thread in threads
        )

    wait_for(is_confined, told="the host is confined")
    until = time.monotonic() + 1.5
    outcome = asyncio.run(
        run_load(
            factory.scoring, factory.tokens["shop"], "spins", [{"x": 1.0}],
            connections=4, until=lambda: time.monotonic() > until, rate=100,
        )
    )  # fmt: skip
    psutil.Process(pid).kill()  # it would spin until the end of the module
    assert outcome.answers
    assert not outcome.errors
    assert not outcome.failed
    assert outcome.share(reason="champion", variant=good) == 1.0


def test_when_all_variants_are_dead_the_default_answers_and_without_one_there_is_an_error(
    factory: RunningFactory, bundles: Callable[..., Path], bad: str
) -> None:
    """Champion and canary end over the same request: the default, labelled; without one 503 or 504 with an error."""
    worse = factory.accepted(bundles("misbehaves-too", models.Misbehaves(30)))
    factory.release("dead", bad, canaries=[worse], deadline="3s", patience="1s", default={"score": -7.0})
    answer = factory.score("dead", {"x": asks_for("os_exit", 1)})
    assert (answer["score"], answer.variants, answer.reasons) == ([-7.0], ["default"], ["default"])
    wait_for(lambda: factory.score("dead", {"x": 1.0}).variants != ["default"])
    factory.release("dead-bare", bad, canaries=[worse], deadline="3s", patience="1s")
    refused = httpx.post(
        f"{factory.scoring}/score/dead-bare",
        json={"rows": [{"x": asks_for("os_exit", 2)}]},
        headers={"authorization": f"Bearer {factory.tokens['shop']}"},
    )
    assert refused.status_code in {503, 504}
    assert set(refused.json()) == {"error"}


def test_a_champion_that_hangs_for_ever_is_replaced(
    factory: RunningFactory, good: str, bad: str, hung: tuple[str, int]
) -> None:
    """While it hangs, the canary answers within the deadline; at last its host is ended, and the champion answers again."""
    endpoint, pid = hung
    if factory.processes("host", f"{endpoint}/{bad}") == [pid]:
        answer = factory.score(endpoint, {"x": 1.0})
        assert answer.variants in ([good], [bad])
    wait_for(
        lambda: factory.processes("host", f"{endpoint}/{bad}") not in ([], [pid]), within_s=_HUNG_WITHIN_S,
        told="the host that hangs is replaced",
    )  # fmt: skip
    champion_is_back(factory, endpoint, bad)
    assert re.search(r"host\.hung", (factory.home / "logs" / "keeper.log").read_text())


def _later(seconds: float, deed: Callable[[], Any]) -> Any:
    time.sleep(seconds)
    return deed()


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def test_who_asks_seldom_is_answered_as_soon_as_the_fault_has_gone(
    factory: RunningFactory, bundles: Callable[..., Path]
) -> None:
    """While the only variant stalls the endpoint is not ready; after it, the first request is answered by it, on probation as it is."""
    version = factory.accepted(bundles("stalls", models.SlowForSome(1, limit=100, sleep_s=2.0)))
    factory.release("alone", version, deadline="400ms", patience="200ms", default={"score": -1.0})
    headers = {"authorization": f"Bearer {factory.tokens['shop']}"}

    def is_ready() -> bool:
        return httpx.get(f"{factory.scoring}/v2/models/alone/ready", headers=headers).status_code == 200

    def asked(x: float) -> list[str]:
        return list(factory.score("alone", {"x": x}).reasons)

    assert asked(1.0) == ["champion"]
    assert is_ready()
    wait_for(lambda: asked(500.0) == ["default"] and not is_ready(), told="it is not ready while it stalls")
    time.sleep(2.5 * 2)  # what it was given has been computed
    assert is_ready()
    assert asked(1.0) == ["champion"]
    assert asked(1.0) == ["champion"]
