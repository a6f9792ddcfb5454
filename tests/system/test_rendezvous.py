"""An endpoint as its callers meet it: who answers, when, and what is on record."""

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import cloudpickle
import httpx
import models
import pytest
from load import run_load
from running_factory import ROWS, RunningFactory, wait_for

from muster.archive.reader import Reader
from muster.vocabulary.errors import Damaged
from muster.wire.control import Request


@pytest.fixture(scope="module")
def endpoint(factory: RunningFactory, adds: list[str]) -> str:
    """Endpoint `plus`: champion adds:1, challenger adds:2, canary adds:3, and a default answer."""
    factory.release(
        "plus",
        adds[0],
        challengers=[adds[1]],
        canaries=[adds[2]],
        deadline="1s",
        patience="600ms",
        default={"score": -1.0},
    )
    return "plus"


def bearer(factory: RunningFactory) -> dict[str, str]:
    return {"authorization": f"Bearer {factory.tokens['shop']}"}


def test_records_and_v2_give_the_same_answers_with_their_reasons(factory: RunningFactory, endpoint: str) -> None:
    """Both request forms reach the champion, and say so."""
    rows = [{"x": 1.5}, {"x": -2.0}]
    records = httpx.post(f"{factory.scoring}/score/{endpoint}", json={"rows": rows}, headers=bearer(factory)).json()
    assert [answer["score"] for answer in records["answers"]] == [2.5, -1.0]
    assert records["answers"][0] | {"score": 0} == {
        "score": 0, "variant": "adds:1", "role": "champion", "reason": "champion"
    }  # fmt: skip
    request = {"id": "mine", "inputs": [{"name": "x", "shape": [2], "datatype": "FP64", "data": [1.5, -2.0]}]}
    answer = httpx.post(f"{factory.scoring}/v2/models/{endpoint}/infer", json=request, headers=bearer(factory)).json()
    assert answer["id"] == "mine"
    assert answer["model_version"] == "1"
    assert answer["parameters"]["variant"] == "adds:1"
    assert answer["outputs"] == [{"name": "score", "datatype": "FP64", "shape": [2], "data": [2.5, -1.0]}]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"rows": [{"x": "one"}]}, "x"),
        ({"rows": [{"y": 1.0}]}, "y"),
        ({"rows": [{}]}, "x"),
        ({"rows": [{"x": None}]}, "null"),
        ({"rows": []}, "row"),
        ({"rows": [{"x": 1.0}] * 1001}, "1000"),
        ({"lines": []}, "rows"),
        ("nonsense", "JSON"),
        ({"rows": [{"x": 1.0}], "deadline_ms": -5}, "deadline_ms"),
    ],
)
def test_a_wrong_request_is_a_400_that_says_what_is_wrong(
    factory: RunningFactory, endpoint: str, body: Any, told: str
) -> None:
    """The contract is checked first, and the message names the field."""
    content = {"content": body} if isinstance(body, str) else {"json": body}
    answer = httpx.post(f"{factory.scoring}/score/{endpoint}", **content, headers=bearer(factory))
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    assert told.lower() in answer.json()["error"].lower() or told == "JSON"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/health/live", 200),
        ("GET", "/v2/health/ready", 200),
        ("GET", "/v2", 200),
        ("GET", "/v2/models/plus", 200),
        ("GET", "/v2/models/plus/ready", 200),
        ("GET", "/v2/models/plus/versions/1", 200),
        ("GET", "/v2/models/plus/versions/1/ready", 200),
        ("GET", "/v2/models/plus/versions/9/ready", 404),
        ("GET", "/v2/models/minus", 404),
        ("GET", "/v2/models/plus/infer", 405),
        ("POST", "/score/minus", 404),
        ("GET", "/score/plus", 405),
        ("GET", "/nowhere", 404),
        ("POST", "/v2/health/live", 405),
    ],
)
def test_addresses_and_statuses_are_those_of_the_protocol(
    factory: RunningFactory, endpoint: str, method: str, path: str, status: int
) -> None:
    """Every answer is JSON; every error is {"error"}."""
    answer = httpx.request(method, factory.scoring + path, headers=bearer(factory))
    assert answer.status_code == status, answer.text
    assert status == 200 or set(answer.json()) == {"error"}


def test_without_a_good_token_nothing_is_told(factory: RunningFactory, endpoint: str) -> None:
    """401 for none, a wrong one and one that is revoked, within a second."""
    for headers in ({}, {"authorization": "Bearer mst_wrong"}, {"authorization": "Basic Zm9v"}):
        answer = httpx.post(f"{factory.scoring}/score/{endpoint}", json={"rows": ROWS[:1]}, headers=headers)
        assert answer.status_code == 401
    token = factory.admin.add_user("short-lived", "consumer").token
    mine = {"authorization": f"Bearer {token}"}

    def status() -> int:
        return httpx.post(f"{factory.scoring}/score/{endpoint}", json={"rows": ROWS[:1]}, headers=mine).status_code

    wait_for(lambda: status() == 200, within_s=2)
    factory.admin.revoke_token("short-lived")
    revoked_at = time.monotonic()
    wait_for(lambda: status() == 401, within_s=2)
    assert time.monotonic() - revoked_at < 1.0


def test_a_version_is_reached_directly_by_right_and_recorded_as_forced(
    factory: RunningFactory, endpoint: str, adds: list[str]
) -> None:
    """`/v2/models/plus/versions/2` is the challenger, which otherwise never answers; a header names it as well."""
    request = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}
    operator = {"authorization": f"Bearer {factory.tokens['olga']}"}
    for path, header in (("plus/versions/2", {}), ("adds/versions/2", {}), ("plus", {"muster-variant": adds[1]})):
        address = f"{factory.scoring}/v2/models/{path}/infer"
        refused = httpx.post(address, json=request, headers=bearer(factory) | header)
        assert refused.status_code == 403
        assert set(refused.json()) == {"error"}
        answer = httpx.post(address, json=request, headers=operator | header).json()
        assert answer["outputs"][0]["data"] == [3.0]
        assert answer["parameters"]["reason"] == "forced"
    record = factory.as_("olga").request(answer["parameters"]["request_id"])
    assert record.reason == "forced"
    found = Reader(factory.home / "archive").find(answer["parameters"]["request_id"])
    assert found is not None
    assert found.decided.overrides == ("variant",)


def test_a_longer_deadline_is_a_right_too(factory: RunningFactory, endpoint: str) -> None:
    """Without it the release's deadline holds, and nothing is said; with it the longer one does, on record."""
    granted = {}
    for name in ("shop", "olga"):
        headers = {"authorization": f"Bearer {factory.tokens[name]}", "muster-deadline-ms": "60000"}
        answer = httpx.post(f"{factory.scoring}/score/{endpoint}", json={"rows": ROWS[:1]}, headers=headers).json()
        found = Reader(factory.home / "archive").find(answer["request_id"])
        assert found is not None
        granted[name] = (found.decided.deadline_ns, found.decided.overrides)
    assert granted["shop"][0] < 60_000_000_000
    assert granted["shop"][1] == ()
    assert granted["olga"] == (60_000_000_000, ("deadline",))


def test_every_request_meets_every_variant_and_is_on_record(
    factory: RunningFactory, endpoint: str, adds: list[str]
) -> None:
    """The record holds what all variants answered, and why one was chosen."""
    answer = factory.score(endpoint, {"x": 5.0})
    olga = factory.as_("olga")

    def complete() -> Request | None:
        found = olga.request(answer.request_id)
        return found if all(given.status == "answered" for given in found.answers) else None

    record = wait_for(complete)
    assert {given.version for given in record.answers} == set(adds)
    assert record.chosen == adds[0] or record.chosen[0] == adds[0]
    assert record.consumer == "shop"


def test_a_replay_is_identical_to_the_bit(factory: RunningFactory, endpoint: str) -> None:
    """The recorded batch, on the sealed bundle, in its environment."""
    asked = asyncio.run(
        run_load(factory.scoring, factory.tokens["shop"], endpoint, ROWS, connections=8, until=_after(0.5))
    )
    assert not asked.failed
    replayed = factory.as_("olga").replay(asked.request_ids()[len(asked.answers) // 2])
    assert replayed.identical, replayed.differences


def test_a_slow_champion_is_answered_for_by_the_fallback_in_time(
    factory: RunningFactory, adds: list[str], bundles: Callable[..., Path]
) -> None:
    """Every request has its answer by the deadline; those that the champion is too slow for, from the fallback."""
    slow = factory.accepted(bundles("slow", models.SlowForSome(10, limit=15.0, sleep_s=0.5)))
    factory.release("slow", slow, canaries=[adds[0]], deadline="300ms", patience="120ms")
    outcome = asyncio.run(
        run_load(factory.scoring, factory.tokens["shop"], "slow", ROWS, connections=4, until=_after(4), rate=40)
    )
    assert not outcome.errors
    assert not outcome.failed
    assert 0.05 < outcome.share(reason="fallback_late", variant=adds[0]) < 1.0
    late = [answer for answer in outcome.answers if answer.took_s > 0.3]
    assert len(late) <= len(outcome.answers) * 0.02, [answer.took_s for answer in late]


def test_a_variant_that_raises_costs_only_its_own_answer(
    factory: RunningFactory, adds: list[str], bundles: Callable[..., Path]
) -> None:
    """The neighbours in the batch are answered by the champion, the one that failed by the fallback."""
    raising = factory.accepted(bundles("raising", models.RaisesForSome(10, limit=15.0)))
    factory.release("raising", raising, canaries=[adds[0]], deadline="1s")
    outcome = asyncio.run(
        run_load(factory.scoring, factory.tokens["shop"], "raising", ROWS, connections=8, until=_after(1.5))
    )
    assert not outcome.failed
    for answer in outcome.answers:
        given = answer.body["answers"][0]
        assert (given["reason"], given["variant"]) in {("champion", raising), ("fallback_error", adds[0])}
    assert outcome.share(reason="fallback_error") == pytest.approx(4 / 20, abs=0.05)


def test_without_an_answer_there_is_the_default_and_without_a_default_504(
    factory: RunningFactory, bundles: Callable[..., Path]
) -> None:
    """The default answer is labelled; where there is none, the caller is told."""
    slow = factory.accepted(bundles("slow-always", models.SlowForSome(10, limit=50.0, sleep_s=1.0)))
    factory.release("defaulted", slow, deadline="200ms", default={"score": -7.0})
    answer = factory.score("defaulted", {"x": 51.0})
    assert (answer["score"], answer.reasons, answer.variants) == ([-7.0], ["default"], ["default"])
    factory.release("bare", slow, deadline="200ms")
    refused = httpx.post(f"{factory.scoring}/score/bare", json={"rows": [{"x": 51.0}]}, headers=bearer(factory))
    assert refused.status_code == 504
    assert set(refused.json()) == {"error"}


def test_a_request_that_kills_hosts_is_quarantined_and_its_neighbours_are_answered(
    factory: RunningFactory, adds: list[str], bundles: Callable[..., Path]
) -> None:
    """A poisonous request is sent twice, then never again; everybody is answered."""
    poisoned = factory.accepted(bundles("poisoned", models.KillsItselfFor(10, poison=666.0)))
    factory.release("poisoned", poisoned, canaries=[adds[0]], deadline="2s", patience="1500ms")
    assert factory.score("poisoned", {"x": 666.0}).variants == [adds[0]]
    wait_for(lambda: factory.score("poisoned", {"x": 1.0}).variants == [poisoned])
    pid = factory.processes("host", f"poisoned/{poisoned}")
    again = factory.score("poisoned", {"x": 666.0})
    assert again.variants == [adds[0]]
    assert factory.processes("host", f"poisoned/{poisoned}") == pid, "the quarantined input reached a host again"


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def test_a_client_that_is_not_ours_gets_its_answers(factory: RunningFactory, endpoint: str) -> None:
    """tritonclient, unmodified, over JSON: metadata, readiness, inference, errors."""
    script = textwrap.dedent(f"""
        import sys
        import numpy as np
        import tritonclient.http as triton

        headers = {{"authorization": "Bearer {factory.tokens["shop"]}"}}
        client = triton.InferenceServerClient("{factory.scoring.removeprefix("http://")}")
        assert client.is_server_live() and client.is_server_ready()
        assert client.get_server_metadata()["name"] == "muster"
        assert client.is_model_ready("{endpoint}", headers=headers)
        assert client.get_model_metadata("{endpoint}", headers=headers)["inputs"][0]["name"] == "x"
        given = triton.InferInput("x", [2], "FP64")
        given.set_data_from_numpy(np.array([1.5, -2.0]), binary_data=False)
        wanted = triton.InferRequestedOutput("score", binary_data=False)
        answer = client.infer("{endpoint}", [given], outputs=[wanted], request_id="mine", headers=headers)
        assert answer.as_numpy("score").tolist() == [2.5, -1.0]
        assert answer.get_response()["id"] == "mine"
        try:
            other = triton.InferRequestedOutput("other", binary_data=False)
            client.infer("{endpoint}", [given], outputs=[other], headers=headers)
        except triton.InferenceServerException as error:
            assert error.status() == "400", error
        else:
            sys.exit("no error")
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_what_somebody_edits_on_the_disk_is_never_served(factory: RunningFactory, adds: list[str]) -> None:
    """A bundle or an environment that was tampered with is mended from the store before a host starts from it."""
    factory.release("guarded", adds[1], deadline="5s")
    assert factory.score("guarded", {"x": 10.0})["score"] == [12.0]
    bundle = next(folder for folder in (factory.home / "bundles").iterdir() if _adds(folder) == 2.0)
    model = bundle / "model" / "model.cloudpickle"
    model.chmod(0o644)
    model.write_bytes(cloudpickle.dumps(models.Adds(989)))
    module = next((factory.home / "environments").glob("*/lib/python3*/site-packages/cloudpickle/__init__.py"), None)
    module = module or next((factory.home / "environments").rglob("site-packages/cloudpickle/__init__.py"))
    module.chmod(0o644)
    module.write_bytes(module.read_bytes() + b"\n# edited\n")
    for kind in ("parent", "host"):
        for pid in factory.processes(kind):
            os.kill(pid, signal.SIGKILL)
    answer = wait_for(lambda: factory.score("guarded", {"x": 10.0}), within_s=60)
    assert answer["score"] == [12.0]
    assert b"# edited" not in module.read_bytes()


def _adds(bundle: Path) -> float:
    with (bundle / "model" / "model.cloudpickle").open("rb") as stream:
        return float(cloudpickle.load(stream).step)


def test_requests_that_meet_a_swap_half_way_are_answered(
    factory: RunningFactory, adds: list[str], bundles: Callable[..., Path]
) -> None:
    """A body that takes longer than two releases, and a computation that does, both get their answers."""
    slow = factory.accepted(bundles("slow-answer", models.SlowForSome(10, limit=50.0, sleep_s=3.0)))
    factory.release("swapped", slow, deadline="20s", patience="19s")
    body = b'{"rows":[{"x":1.0}]}'
    place = (factory.scoring.rsplit("/", 1)[1].split(":")[0], factory.scoring_port)
    with socket.create_connection(place) as caller, ThreadPoolExecutor(1) as beside:
        head = f"POST /score/swapped HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {factory.tokens['shop']}\r\n"
        caller.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body[:5])
        computing = beside.submit(factory.score, "swapped", {"x": 60.0})
        time.sleep(0.3)
        factory.release("swapped", adds[0], deadline="20s")
        factory.release("swapped", adds[1], deadline="20s")
        caller.sendall(body[5:])
        assert b" 200 " in caller.recv(4096)
        assert computing.result(30)["score"] == [70.0]


def test_a_row_of_the_registry_that_somebody_edited_is_found(factory: RunningFactory, adds: list[str]) -> None:
    """The digest in the database has to be the one that the audit chain saw registered."""
    ana = factory.as_("ana")
    digest = ana.version(adds[2]).digest

    def edit(to: str) -> None:
        with closing(sqlite3.connect(factory.home / "muster.db")) as database, database:
            database.execute("UPDATE versions SET digest = ? WHERE model = 'adds' AND number = 3", (to,))

    edit("sha256:" + "0" * 64)
    try:
        with pytest.raises(Damaged, match="adds:3"):
            ana.propose("edited", champion=adds[2], reason="for a test")
    finally:
        edit(digest)
    assert ana.version(adds[2]).digest == digest
