"""The archive over HTTP: exports, retention, verification."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from muster.client.errors import TargetExists
from muster.vocabulary.errors import Invalid, NotAllowed, NotFound
from recorded_requests import answer_of, record_request
from running_control import Control
from small_bundles import SmallBundles

PROJECT = "/api/v1/projects/default"


@pytest.fixture(scope="module")
def request_ids(control: Control, bundles: SmallBundles) -> list[str]:
    """Three requests of an endpoint; one of ana's versions answered the last."""
    mine = control.as_("ana").register(bundles.new()).version
    archive = control.home / "archive"
    return [
        record_request(archive, "past", [answer_of(version, "champion", [2.0])], [1.0])
        for version in ("other:1", "other:1", mine)
    ]


def test_an_export_is_streamed_to_a_file(control: Control, request_ids: list[str], tmp_path: Path) -> None:
    """Parquet with one row per request; it says up to when it is complete, and is on record."""
    target = tmp_path / "x.parquet"
    complete_to = control.as_("olga").export("past", target)
    assert complete_to.endswith("Z")
    assert pq.read_table(target).column("request_id").to_pylist() == request_ids
    (event,) = [one for one in control.as_("olga").audit_events().events if one.action == "archive.exported"]
    assert (event.actor, event.subject, event.details["form"]) == ("olga", "endpoint past", "parquet")


def test_ndjson_has_one_request_per_line(control: Control, request_ids: list[str]) -> None:
    """Each as the address of a request gives it."""
    with control.http("olga") as http:
        answer = http.get(f"{PROJECT}/endpoints/past/export", params={"form": "ndjson"})
        one = http.get(f"{PROJECT}/requests/{request_ids[1]}").json()
    assert answer.headers["content-disposition"] == 'attachment; filename="past.ndjson"'
    lines = answer.text.splitlines()
    assert len(lines) == 3
    assert json.loads(lines[1]) == one


def test_a_file_that_is_there_is_not_touched(control: Control, request_ids: list[str], tmp_path: Path) -> None:
    """Unless it is said so; and nothing half-written stays when the export fails."""
    assert request_ids
    target = tmp_path / "x.parquet"
    target.write_text("mine")
    with pytest.raises(TargetExists):
        control.as_("olga").export("past", target)
    assert target.read_text() == "mine"
    with pytest.raises(NotAllowed):
        control.as_("vera").export("past", target, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]
    assert target.read_text() == "mine"
    control.as_("olga").export("past", target, force=True)
    assert pq.read_table(target).num_rows == 3


def test_a_scientist_exports_what_own_models_answered(control: Control, request_ids: list[str], tmp_path: Path) -> None:
    """And nobody without the right anything."""
    target = tmp_path / "x.parquet"
    control.as_("ana").export("past", target)
    assert pq.read_table(target).column("request_id").to_pylist() == request_ids[2:]
    for name in ("vera", "shop"):
        with pytest.raises(NotAllowed):
            control.as_(name).export("past", tmp_path / "y.parquet")


def test_windows_are_checked(control: Control, request_ids: list[str], tmp_path: Path) -> None:
    """A window that ends before it begins, and moments that are none, are refused; one without requests is empty."""
    assert request_ids
    olga = control.as_("olga")
    with pytest.raises(Invalid):
        olga.export("past", tmp_path / "x.parquet", from_="2026-01-02T00:00:00Z", to="2026-01-01T00:00:00Z")
    with control.http("olga") as http:
        for query in ({"from": "yesterday"}, {"to": "2026-13-01T00:00:00Z"}, {"form": "csv"}):
            assert http.get(f"{PROJECT}/endpoints/past/export", params=query).status_code == 400
    olga.export("past", tmp_path / "x.parquet", to="2001-01-01T00:00:00Z")
    assert pq.read_table(tmp_path / "x.parquet").num_rows == 0


def test_admins_say_how_long_records_are_kept(control: Control, bundles: SmallBundles) -> None:
    """For days or for ever, with a reason; others may look."""
    version = control.accepted(bundles.new())
    control.as_("ana").propose("kept", champion=version, reason="x")
    admin, vera = control.as_("admin"), control.as_("vera")
    assert vera.retention("kept").days is None
    made = admin.retain("kept", 90, "the law")
    assert (made.days, made.set_by, made.reason) == (90, "admin", "the law")
    assert vera.retention("kept") == made
    assert vera.retentions().rules == (made,)
    assert admin.retain("kept", None, "evidence").days is None
    with pytest.raises(NotAllowed):
        control.as_("olga").retain("kept", 1, "x")
    with pytest.raises(NotFound):
        admin.retain("nowhere", 1, "x")
    actions = [one.action for one in admin.audit_events(subject="endpoint kept").events]
    assert actions == ["archive.retention-set", "archive.retention-set"]


def test_the_archive_is_verified_over_http(control: Control, request_ids: list[str]) -> None:
    """Valid, with its figures; a changed byte is told."""
    verdict = control.as_("olga").verify_archive()
    assert verdict.valid, verdict.problems
    (past,) = [one for one in verdict.endpoints if one.endpoint == "past"]
    assert (past.received, past.recorded) == (len(request_ids), len(request_ids))
    with pytest.raises(NotAllowed):
        control.as_("ana").verify_archive()
    (segment, *_) = sorted((control.home / "archive" / "spool" / "0").glob("*.seg"))
    whole = segment.read_bytes()
    segment.chmod(0o600)
    segment.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    verdict = control.as_("olga").verify_archive("past")
    segment.write_bytes(whole)
    assert not verdict.valid
    assert verdict.problems[0].kind == "segment"
