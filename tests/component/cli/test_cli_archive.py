"""`muster archive` as a person types it."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from running_cli import Shell

from recorded_requests import answer_of, record_request
from running_control import Control

As = Callable[[str], Shell]


@pytest.fixture(scope="module")
def request_id(control: Control) -> str:
    """One request in the archive."""
    return record_request(control.home / "archive", "told", [answer_of("m:1", "champion", [2.0])], [1.0])


def test_records_are_exported_to_a_file(as_: As, request_id: str, tmp_path: Path) -> None:
    """By the ending of its name; a file that is there stays as it is without --force."""
    olga = as_("olga")
    found = olga.json("archive", "export", "told", "-o", "x.parquet", "--from", "2020-01-01T00:00:00Z")
    assert (found["endpoint"], found["file"]) == ("told", "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet").column("request_id").to_pylist() == [request_id]
    assert olga.problem("archive", "export", "told", "-o", "x.parquet", code=4)["code"] == "client.target-exists"
    assert "Complete up to" in olga.type("archive", "export", "told", "-o", "x.ndjson", "--force").stderr
    assert request_id in (tmp_path / "x.ndjson").read_text()
    olga.problem("archive", "export", "told", "-o", "x.csv", code=2)


def test_the_verdict_is_the_exit_code(as_: As, control: Control, request_id: str, tmp_path: Path) -> None:
    """0 for a whole archive, 1 for a damaged copy of it, with what is wrong."""
    assert request_id
    olga = as_("olga")
    assert "valid" in olga.type("archive", "verify").stdout
    assert olga.json("archive", "verify", "--endpoint", "told")["endpoints"][0]["recorded"] == 1
    copy = tmp_path / "copy" / "spool" / "0"
    copy.mkdir(parents=True)
    for path in (control.home / "archive" / "spool" / "0").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert olga.json("archive", "verify", "--archive", "copy")["valid"]
    segment = next(copy.glob("*.seg"))
    segment.write_bytes(segment.read_bytes()[:-1])
    assert "not valid" in olga.type("archive", "verify", "--archive", "copy", code=1).stdout
    assert olga.json("archive", "verify", "--archive", "copy", code=1)["problems"]
    olga.problem("archive", "verify", "--archive", "nowhere", code=3)


def test_retention_is_said_with_a_reason(as_: As, control: Control) -> None:
    """Either days or for ever; only admins."""
    admin = as_("admin")
    assert admin.problem("archive", "retain", "told", "--reason", "x", code=2)["code"] == "cli.usage"
    assert admin.problem("archive", "retain", "nowhere", "--days", 5, "--reason", "x", code=3)
    assert as_("olga").problem("archive", "retain", "told", "--days", 5, "--reason", "x", code=5)
    assert admin.json("archive", "retention")["default_days"] is None
    assert "for ever" in admin.type("archive", "retention").stdout
    assert control.url
