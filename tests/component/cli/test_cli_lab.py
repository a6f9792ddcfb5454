"""In the lab, without a factory: check, try, pack; and the making of a home."""

import json
import sqlite3
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from running_cli import Shell

from scoring_side import REQUEST_ID, running_scoring_side
from small_bundles import SmallBundles


def test_check_says_what_to_mend(shell: Shell, bundles: SmallBundles) -> None:
    """A sound bundle has no findings; a broken one ends with 1 and names file, problem and remedy."""
    sound, broken = bundles.new(), bundles.new()
    (broken / "golden.parquet").unlink()
    good = shell.json("check", sound)
    assert (good["path"], good["sound"]) == (str(sound), True)
    assert {finding["level"] for finding in good["findings"]} <= {"warning"}
    found = shell.json("check", broken, code=1)
    assert not found["sound"]
    assert any(finding["path"] == "golden.parquet" and finding["remedy"] for finding in found["findings"])
    assert "golden.parquet" in shell.type("check", broken, code=1).stdout
    assert shell.problem("check", "nowhere", code=3)["code"] == "cli.file-missing"


def test_pack_gives_the_same_bytes_and_says_what_it_leaves_out(shell: Shell, bundles: SmallBundles) -> None:
    """Two packs of one folder are equal, caches are not in them, and the list of what is left out is shown."""
    bundle = bundles.new()
    (bundle / "__pycache__").mkdir()
    (bundle / "__pycache__" / "junk.pyc").write_bytes(b"junk")
    one = shell.json("pack", bundle, "-o", shell.folder / "one.zip")
    other = shell.json("pack", bundle, "-o", shell.folder / "other.zip")
    assert one["digest"] == other["digest"]
    assert (shell.folder / "one.zip").read_bytes() == (shell.folder / "other.zip").read_bytes()
    assert not any("pycache" in name for name in zipfile.ZipFile(shell.folder / "one.zip").namelist())
    assert "__pycache__" in one["ignored"]
    assert "__pycache__" in shell.type("pack", bundle, "-o", shell.folder / "one.zip").stderr


@pytest.mark.timeout(180)
def test_try_runs_a_bundle_in_its_own_environment(shell: Shell, bundles: SmallBundles) -> None:
    """Rows of every kind of file are answered by the model in a real host; rows that break the contract are refused."""
    bundle = bundles.new()
    (shell.folder / "rows.json").write_text('[{"x": 1}, {"x": 2.5}]')
    (shell.folder / "rows.jsonl").write_text('{"x": 1}\n{"x": 2.5}\n')
    (shell.folder / "rows.csv").write_text("\ufeffx\r\n1\r\n2.5\r\n", newline="")
    parquet.write_table(pa.table({"x": [1.0, 2.5]}), shell.folder / "rows.parquet")
    for suffix in ("json", "jsonl", "csv", "parquet"):
        found = shell.json("try", bundle, f"rows.{suffix}")
        assert [answer["score"] for answer in found["answers"]] == [2.0, 3.5], suffix
        assert found["environment"].startswith("sha256:")
    (shell.folder / "bad.json").write_text('[{"x": 1}, {"x": "two"}]')
    problem = shell.problem("try", bundle, "bad.json", code=2)
    assert (problem["code"], problem["facts"]["field"], problem["facts"]["row"]) == ("contract.broken", "x", 1)
    assert "3.5" in shell.type("try", bundle, "rows.json").stdout
    for name, text in (
        ("rows.txt", "x"),
        ("broken.json", "{"),
        ("ragged.csv", "x\n1,2\n"),
        ("twice.csv", "x,x\n1,2\n"),
    ):
        (shell.folder / name).write_text(text)
        assert shell.problem("try", bundle, name, code=2)["code"] == "cli.file-not-understood", name


def test_score_answers_with_request_ids(shell: Shell) -> None:
    """Every answer names its request; a long file goes in several; CSV is read as the endpoint's types say."""
    (shell.folder / "rows.json").write_text(json.dumps({"rows": [{"x": 1, "code": "a"}, {"x": 2, "code": "b"}]}))
    (shell.folder / "rows.csv").write_text("x,code\n1,01234\n2,\n")
    (shell.folder / "empty.json").write_text("[]")
    (shell.folder / "bad.json").write_text('[{"x": "two"}]')
    with running_scoring_side() as (url, requests):
        there = shell.where(MUSTER_SCORING_URL=url, MUSTER_TOKEN="mst_shop")
        found = there.json("score", "sum", "rows.json", "--deadline", "50ms")
        assert (found["endpoint"], found["request_id"], found["release"]) == ("sum", REQUEST_ID, 3)
        assert [answer["score"] for answer in found["answers"]] == [2, 3]
        assert {answer["request_id"] for answer in found["answers"]} == {REQUEST_ID}
        assert requests[-1][1]["deadline_ms"] == 50.0

        split = there.json("score", "sum", "rows.csv", "--rows-per-request", 1)
        assert [one["rows"] for one in split["requests"]] == [1, 1]
        assert [request[1]["rows"] for request in requests[-2:]] == [
            [{"x": 1.0, "code": "01234"}], [{"x": 2.0, "code": ""}],
        ]  # fmt: skip
        assert "champion" in there.type("score", "sum", "rows.json").stdout

        assert "field 'x', row 0" in there.problem("score", "sum", "bad.json", code=2)["detail"]
        assert there.problem("score", "none", "rows.json", code=3)["family"] == "not-found"
        assert there.problem("score", "sum", "empty.json", code=2)["code"] == "client.rows-not-understood"
        wrong = there.where(MUSTER_TOKEN="mst_wrong")
        assert wrong.problem("score", "sum", "rows.json", code=6)["family"] == "not-identified"
        assert there.problem("score", "sum", "nowhere.json", code=3)["code"] == "cli.file-missing"


def test_init_makes_a_home_once(shell: Shell) -> None:
    """A new home names its admin's token; a second time nothing is changed and the exit code is not zero."""
    home = shell.folder / "factory"
    made = shell.json("init", home)
    assert Path(made["home"]) == home
    assert made["token"] == (home / "admin.token").read_text().strip()
    assert "solo" not in made
    before = sorted((path, path.stat().st_mtime_ns) for path in home.rglob("*"))
    assert shell.problem("init", home, code=4)["code"] == "home.exists"
    assert sorted((path, path.stat().st_mtime_ns) for path in home.rglob("*")) == before
    alone = shell.json("init", shell.folder / "alone", "--solo")
    assert alone["solo"] is True
    assert "one person" in shell.type("init", shell.folder / "alone2", "--solo").stderr


def test_a_copy_of_the_database_is_verified_without_a_factory(shell: Shell) -> None:
    """A whole copy is valid; an edited one ends with 1 and names the event."""
    home = shell.folder / "factory"
    shell.json("init", home)
    copy = shell.folder / "copy.db"
    with sqlite3.connect(home / "muster.db") as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()
    assert shell.json("audit", "verify", "--database", copy)["valid"]
    edited = sqlite3.connect(copy)
    with edited:
        for (trigger,) in edited.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            edited.execute(f'DROP TRIGGER "{trigger}"')
        edited.execute("UPDATE audit_events SET action = 'nothing.happened' WHERE sequence = 2")
    edited.close()
    found = shell.json("audit", "verify", "--database", copy, code=1)
    assert (found["valid"], found["at_sequence"]) == (False, 2)
    assert shell.problem("audit", "verify", "--database", "nowhere.db", code=3)["code"] == "cli.file-missing"
