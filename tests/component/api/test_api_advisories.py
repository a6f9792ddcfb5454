"""Known vulnerabilities over HTTP and at the command line: the same words at both doors."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from muster.cli import main
from muster.vocabulary.errors import Invalid, NotAllowed
from running_control import Control
from small_bundles import SmallBundles

_EVENTS = [{"introduced": "0"}, {"fixed": "999"}]
_RECORD = {
    "id": "PYSEC-9",
    "modified": "2026-11-01T00:00:00Z",
    "summary": "runs what it reads",
    "database_specific": {"severity": "HIGH"},
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "cloudpickle"},
            "ranges": [{"type": "ECOSYSTEM", "events": _EVENTS}],
        }
    ],
}


@pytest.fixture(autouse=True)
def _nothing_is_known_afterwards(control: Control, tmp_path: Path) -> Iterator[None]:
    """Other tests certify on the same control."""
    yield
    nothing = tmp_path / "nothing.json"
    nothing.write_text('{"id": "X-1", "affected": []}')
    control.as_("admin").import_vulnerabilities(nothing, "the tests are over")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "osv.json"
    found.write_text(json.dumps([_RECORD]))
    return found


def test_a_file_is_taken_in_by_an_admin_and_read_by_all(control: Control, bundles: SmallBundles, file: Path) -> None:
    """What it hits is listed at once, with where it is mended."""
    version = control.accepted(bundles.new(description="hit"))
    for name in ("ana", "ben", "olga", "vera", "shop"):
        with pytest.raises(NotAllowed):
            control.as_(name).import_vulnerabilities(file, "because")
    taken = control.as_("admin").import_vulnerabilities(file, "the export of today")
    assert (taken.name, taken.records, taken.ecosystems, taken.imported_by) == ("osv.json", 1, ("pypi",), "admin")
    assert control.as_("vera").vulnerability_files().files[0] == taken
    found = control.as_("vera").affected_versions()
    assert found.file == taken
    (hit,) = next(one for one in found.versions if one.version == version).vulnerabilities
    assert (hit.id, hit.severity, hit.fixed, hit.summary) == ("PYSEC-9", "high", "999", "runs what it reads")


def test_a_file_that_is_none_is_refused_with_its_name(control: Control, tmp_path: Path) -> None:
    """And nothing is taken in of it."""
    file = tmp_path / "notes.txt"
    file.write_text("nothing of the kind")
    before = control.as_("admin").vulnerability_files()
    with pytest.raises(Invalid, match=r"notes\.txt") as refused:
        control.as_("admin").import_vulnerabilities(file, "a mistake")
    assert refused.value.code == "advisories.vulnerabilities-malformed"
    with control.http("admin") as http:
        answer = http.post(
            "/api/v1/projects/default/vulnerabilities", content=b"{}", headers={"Content-Type": "application/zip"}
        )
    assert answer.status_code == 400
    assert control.as_("admin").vulnerability_files() == before


def test_the_commands_say_the_same(
    control: Control, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`import`, `list` and `affected`, as tables and as JSON; a file that is not there is named."""
    monkeypatch.setenv("MUSTER_URL", control.url)
    monkeypatch.setenv("MUSTER_TOKEN", control.tokens["admin"])
    assert main.run(["vulnerabilities", "import", str(file), "--reason", "of today", "--json"]) == 0
    taken = json.loads(capsys.readouterr().out)
    assert taken["name"] == "osv.json"
    assert main.run(["vulnerabilities", "list"]) == 0
    assert "osv.json" in capsys.readouterr().out
    assert main.run(["vulnerabilities", "affected", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"]["number"] == taken["number"]
    assert main.run(["vulnerabilities", "import", str(file) + "x", "--reason", "r"]) == 3
    assert "there is no file" in capsys.readouterr().err
