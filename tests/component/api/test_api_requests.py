"""Past requests over HTTP."""

import pytest

from recorded_requests import answer_of, record_request
from running_control import Control
from small_bundles import SmallBundles

PROJECT = "/api/v1/projects/default"


@pytest.fixture(scope="module")
def version(control: Control, bundles: SmallBundles) -> str:
    """A certified version of ana's, with its environment built."""
    version = control.as_("ana").register(bundles.new()).version
    control.as_("ana").certify(version, wait=False)
    control.work_off()
    return version


@pytest.fixture(scope="module")
def request_id(control: Control, version: str) -> str:
    """A request that ana's version answered, and a stranger's version late."""
    environment = control.as_("ana").version(version).certificate
    assert environment is not None
    return record_request(
        control.home / "archive", "past",
        [answer_of(version, "champion", [2.0, 3.5], environment.environment), answer_of("other:1", "challenger", None)],
        [1.0, 2.5],
        late=answer_of("other:1", "challenger", [float("nan"), 9.0]),
    )  # fmt: skip


def test_the_record_of_a_request_is_shown_as_json(control: Control, request_id: str, version: str) -> None:
    """Inputs, every variant's answer, late ones too, who was chosen and why, with NaN written as text."""
    with control.http("olga") as http:
        found = http.get(f"{PROJECT}/requests/{request_id}").json()
    assert (found["request_id"], found["endpoint"], found["consumer"], found["client_id"]) == (
        request_id, "past", "shop", "mine",
    )  # fmt: skip
    assert found["inputs"] == {"x": [1.0, 2.5]}
    assert found["chosen"] == [version, version]
    by_version = {answer["version"]: answer for answer in found["answers"]}
    assert by_version[version]["outputs"] == {"score": [2.0, 3.5]}
    assert by_version["other:1"]["outputs"] == {"score": ["NaN", 9.0]}
    assert (by_version[version]["late"], by_version["other:1"]["late"]) == (False, True)


def test_the_last_requests_are_listed(control: Control, request_id: str, version: str) -> None:
    """A list shows the newest first, with who answered."""
    with control.http("ben") as http:
        found = http.get(f"{PROJECT}/endpoints/past/requests", params={"last": 5}).json()
        assert http.get(f"{PROJECT}/endpoints/past/requests", params={"last": 0}).status_code == 400
        assert http.get(f"{PROJECT}/endpoints/past/requests", params={"last": 10**9}).status_code == 400
    assert [(one["request_id"], one["variants"], one["rows"]) for one in found["requests"]] == [
        (request_id, [version], 2)
    ]


def test_a_scientist_sees_requests_of_own_models_only(control: Control, request_id: str) -> None:
    """What no version of one's own took part in is not there; viewers and consumers see none at all."""
    others = record_request(control.home / "archive", "past", [answer_of("other:1", "champion", [1.0])], [1.0])
    with control.http("ana") as http:
        assert http.get(f"{PROJECT}/requests/{request_id}").status_code == 200
        assert http.get(f"{PROJECT}/requests/{others}").status_code == 404
        listed = http.get(f"{PROJECT}/endpoints/past/requests").json()["requests"]
        assert http.post(f"{PROJECT}/requests/{others}/replay").status_code == 404
    assert [one["request_id"] for one in listed] == [request_id]
    for name in ("vera", "shop", "front"):
        with control.http(name) as http:
            assert http.get(f"{PROJECT}/requests/{request_id}").status_code == 403


def test_ids_that_are_none_and_ids_that_nobody_gave(control: Control) -> None:
    """A text that is no id is malformed; an id without a record is not found."""
    with control.http("olga") as http:
        for text in ("abc", "0" * 32, "00000000-0000-4000-8000-000000000000"):
            assert http.get(f"{PROJECT}/requests/{text}").status_code == 400
        assert http.get(f"{PROJECT}/requests/01935d3c-8a40-8000-8000-00000000002a").status_code == 404


def test_a_replay_is_a_session(control: Control, request_id: str, version: str) -> None:
    """Replaying answers 202; the session's result compares every variant that computed an answer."""
    with control.http("olga") as http:
        asked = http.post(f"{PROJECT}/requests/{request_id}/replay")
        assert asked.status_code == 202
        control.work_off()
        session = http.get(f"{PROJECT}/sessions/{asked.json()['id']}").json()
    assert session["kind"] == "replay"
    assert session["state"] in {"passed", "failed"}
    assert session["result"]["request_id"] == request_id
