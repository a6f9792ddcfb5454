"""Versions over HTTP: registering, looking, comparing, the deeds of a life."""

import hashlib
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import rfc8785

from muster.packaging.bundle import pack
from muster.vocabulary.states import VersionState
from running_control import Control
from small_bundles import SmallBundles

PROJECT = "/api/v1/projects/default"
ZIP = {"Content-Type": "application/zip"}


def packed(bundle: Path) -> bytes:
    """The zip of a bundle."""
    target = bundle.with_suffix(".zip")
    pack(bundle, target)
    return target.read_bytes()


def version_path(version: str) -> str:
    """The address of a version."""
    model, _, number = version.partition(":")
    return f"{PROJECT}/models/{model}/versions/{number}"


def test_a_bundle_becomes_a_version_and_the_same_bytes_the_same_one(control: Control, bundles: SmallBundles) -> None:
    """Registering answers 201 with the version; registering the same bytes again names the same version."""
    body = packed(bundles.new(description="to be registered"))
    with control.http("ana") as http:
        first = http.post(f"{PROJECT}/versions", content=body, headers=ZIP)
        again = http.post(f"{PROJECT}/versions", content=body, headers=ZIP)
        shown = http.get(version_path(first.json()["version"]))
    assert first.status_code == 201, first.text
    found = first.json()
    assert found == again.json() == shown.json()
    assert (found["model"], found["state"], found["description"]) == ("adds", "registered", "to be registered")
    assert found["version"] == f"adds:{found['number']}"
    assert found["contract"]["inputs"][0]["name"] == "x"
    assert found["certificate"] is None


def test_two_who_register_the_same_at_once_get_the_same_version(control: Control, bundles: SmallBundles) -> None:
    """Of several clients at once one wins, and all are told the same version."""
    body = packed(bundles.new())
    with control.http("ana") as http, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: http.post(f"{PROJECT}/versions", content=body, headers=ZIP), range(4)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["version"] for answer in answers}) == 1


def test_a_repeated_registration_with_its_key_is_recognised(control: Control, bundles: SmallBundles) -> None:
    """The key stands for these bytes: with other bytes it is refused."""
    one, other = packed(bundles.new()), packed(bundles.new())
    with control.http("ana", **ZIP, **{"Idempotency-Key": "register-once"}) as http:
        first = http.post(f"{PROJECT}/versions", content=one)
        again = http.post(f"{PROJECT}/versions", content=one)
        refused = http.post(f"{PROJECT}/versions", content=other)
    assert first.json() == again.json()
    assert refused.status_code == 409


def test_who_may_not_register_is_told_before_sending_gigabytes(control: Control) -> None:
    """The right is looked at before the body is read; so is the length that the body announces."""
    address = (control.url.split("/")[2].split(":")[0], int(control.url.rsplit(":", 1)[1]))
    for name, length, status in (("vera", 1 << 20, b"403"), ("ana", 1 << 40, b"413"), ("nobody", 1 << 20, b"401")):
        with socket.create_connection(address, timeout=20) as raw:
            raw.sendall(
                f"POST {PROJECT}/versions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {control.tokens.get(name, 'no')}"
                f"\r\nContent-Type: application/zip\r\nContent-Length: {length}\r\n\r\n".encode()
            )
            assert raw.recv(1000).split(b" ")[1] == status, name


def test_a_body_that_grows_beyond_the_limit_is_cut_off(control: Control) -> None:
    """A body without an announced length is refused as soon as it is too long, and leaves nothing behind."""

    def endless() -> object:
        while True:
            yield os.urandom(1 << 20)

    with control.http("ana", **ZIP) as http:
        try:
            answer = http.post(f"{PROJECT}/versions", content=endless())  # type: ignore[arg-type]
        except httpx.TransportError:
            pass  # the connection was cut before the answer could be read
        else:
            assert answer.status_code == 413
    assert list(control.services.uploads.iterdir()) == []


def test_what_is_no_bundle_is_refused_with_its_findings(control: Control, bundles: SmallBundles) -> None:
    """A zip that `muster pack` did not make, and a bundle that lacks its model, are refused and say why."""
    broken = bundles.new()
    (broken / "model" / "model.cloudpickle").unlink()
    with control.http("ana", **ZIP) as http:
        odd = http.post(f"{PROJECT}/versions", content=b"PK\x03\x04 not really")
        lacking = http.post(f"{PROJECT}/versions", content=packed(broken))
    assert (odd.status_code, odd.json()["code"]) == (400, "bundle.zip-refused")
    assert (lacking.status_code, lacking.json()["code"]) == (422, "registry.bundle-refused")
    assert any("model" in finding for finding in lacking.json()["facts"]["findings"])
    assert list(control.services.uploads.iterdir()) == []


def test_the_manifest_is_the_identity_and_files_are_what_it_says(control: Control, bundles: SmallBundles) -> None:
    """The canonical JSON of the manifest has the version's digest; every file downloads as the bytes that it names."""
    with control.http("ana") as http:
        version = http.post(f"{PROJECT}/versions", content=packed(bundles.new()), headers=ZIP).json()
        path = version_path(version["version"])
        manifest = http.get(f"{path}/manifest").json()
        assert "sha256:" + hashlib.sha256(rfc8785.dumps(manifest["manifest"])).hexdigest() == version["digest"]
        for file in manifest["manifest"]["files"]:
            answer = http.get(f"{path}/files/{file['path']}")
            assert answer.status_code == 200
            assert "sha256:" + hashlib.sha256(answer.content).hexdigest() == file["digest"]
            assert answer.headers["content-type"] == "application/octet-stream"
            assert answer.headers["x-content-type-options"] == "nosniff"
        for missing in ("nothing.txt", "../../etc/passwd", "%2e%2e/secret", "model"):
            assert http.get(f"{path}/files/{missing}").status_code == 404


def test_damaged_bytes_never_arrive_as_a_whole(control: Control, bundles: SmallBundles) -> None:
    """A blob that was edited on disk is noticed while it is sent: the download breaks off, nothing wrong arrives."""
    with control.http("ana") as http:
        version = http.post(f"{PROJECT}/versions", content=packed(bundles.new()), headers=ZIP).json()
        file = next(file for file in version["files"] if file["path"] == "NOTES.md")
        path = control.home / "store" / "sha256" / file["digest"][7:9] / file["digest"][7:]
        original = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(b"X" * len(original))
        try:
            answer = http.get(f"{version_path(version['version'])}/files/NOTES.md")
        except httpx.TransportError:
            pass
        else:
            assert (answer.status_code, answer.json()["family"]) == (500, "damaged")
        finally:
            path.write_bytes(original)


def test_models_and_versions_are_listed(control: Control, bundles: SmallBundles) -> None:
    """A model shows its versions, the newest first; models are listed by name with their latest version."""
    with control.http("ana") as http:
        for _ in range(2):
            assert http.post(f"{PROJECT}/versions", content=packed(bundles.new(name="listed")), headers=ZIP).is_success
        models = http.get(f"{PROJECT}/models").json()["models"]
        model = http.get(f"{PROJECT}/models/listed").json()
        versions = http.get(f"{PROJECT}/models/listed/versions").json()["versions"]
    listed = next(model for model in models if model["name"] == "listed")
    assert (listed["versions"], listed["latest"]["version"]) == (2, "listed:2")
    assert [version["version"] for version in model["versions"]] == ["listed:2", "listed:1"]
    assert model["versions"] == versions


def test_versions_are_compared(control: Control, bundles: SmallBundles) -> None:
    """A diff names what two versions declare differently; a version does not differ from itself."""
    with control.http("ana") as http:
        names = [
            http.post(f"{PROJECT}/versions", content=packed(bundles.new(description=text)), headers=ZIP).json()[
                "version"
            ]
            for text in ("before", "after")
        ]
        diff = http.get(f"{version_path(names[1])}/diff", params={"against": names[0]}).json()
        same = http.get(f"{version_path(names[0])}/diff", params={"against": names[0]}).json()
        assert http.get(f"{version_path(names[0])}/diff", params={"against": "churn"}).status_code == 400
        assert http.get(f"{version_path(names[0])}/diff").status_code == 400
    assert {"what": "description", "before": "before", "after": "after"} in diff["declared"]
    assert (diff["before"], diff["after"], diff["same"]) == (names[0], names[1], False)
    assert same["same"]


def test_certification_is_a_session_and_ends_with_a_certificate(control: Control, bundles: SmallBundles) -> None:
    """Certifying answers 202 with a session; when its work is done, the version is certified and shows its checks."""
    with control.http("ana") as http:
        version = http.post(f"{PROJECT}/versions", content=packed(bundles.new()), headers=ZIP).json()["version"]
        asked = http.post(f"{version_path(version)}/certify")
        again = http.post(f"{version_path(version)}/certify")
        assert asked.status_code == 202
        assert asked.json()["state"] == "queued"
        assert again.json()["id"] == asked.json()["id"]
        control.work_off()
        session = http.get(f"{PROJECT}/sessions/{asked.json()['id']}").json()
        found = http.get(version_path(version)).json()
        assert http.get(f"{PROJECT}/sessions/s-0").status_code == 404
    assert session["state"] == "passed", session
    assert session["progress"]
    assert (session["result"]["version"], session["result"]["passed"]) == (version, True)
    assert found["state"] == "certified"
    assert found["certificate"]["session"] == session["id"]
    assert all(check["passed"] for check in found["certificate"]["checks"])


def test_nobody_accepts_own_work_by_this_door(control: Control, bundles: SmallBundles) -> None:
    """An approver who registered the version, and one whom its muster.toml names, are refused; another passes it."""
    bundle = bundles.new()
    with control.http("ana", **ZIP) as http:
        version = http.post(f"{PROJECT}/versions", content=packed(bundle)).json()["version"]
    control.put_into(version, VersionState.CERTIFIED)
    users = f"{PROJECT}/users"
    with control.http("admin") as admin, control.http("ana") as ana, control.http("ben") as ben:
        assert ana.post(f"{version_path(version)}/accept", json={"reason": "mine"}).status_code == 403
        admin.post(f"{users}/ana/role", json={"role": "approver"})
        try:
            refused = ana.post(f"{version_path(version)}/accept", json={"reason": "mine"})
        finally:
            admin.post(f"{users}/ana/role", json={"role": "scientist"})
        passed = ben.post(f"{version_path(version)}/accept", json={"reason": "looks right"})
    assert (refused.status_code, refused.json()["code"]) == (403, "release.own-work")
    assert passed.json()["state"] == "accepted"


@pytest.mark.parametrize(("deed", "state"), [("retire", "retired"), ("ban", "banned")])
def test_a_life_ends(control: Control, bundles: SmallBundles, deed: str, state: str) -> None:
    """Retiring and banning answer with the new state; a second time is a conflict; the reason is on record."""
    version = control.accepted(bundles.new())
    with control.http("ben") as http:
        done = http.post(f"{version_path(version)}/{deed}", json={"reason": "it is time"})
        again = http.post(f"{version_path(version)}/{deed}", json={"reason": "it is time"})
        events = http.get("/api/v1/audit", params={"subject": version}).json()["events"]
    assert done.json()["state"] == state
    assert again.status_code == 409
    assert (events[-1]["actor"], events[-1]["reason"]) == ("ben", "it is time")
