"""What people are told about a model that is assembled: card, data, notes and notebook get into the bundle, or are refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from muster.assembling.errors import CardUnusable
from muster.assembling.told import Told, read_notes, read_told
from muster.packaging.bundle import check_bundle, read_bundle
from muster.packaging.data_sets import data_sources
from muster.packaging.errors import SampleUnusable
from muster.standards.document import READY, ready
from muster.standards.evaluation import lacks_of_bundle
from muster.standards.facts import facts_of_folder

HOST = Path(__file__).resolve().parents[3] / "examples" / "languages" / "any"
DESCRIPTION = """
name = "churn"
owners = ["ana"]

[runtime]
kind = "command"
command = ["python3", "host.py"]

[[contract.outputs]]
name = "churn_probability"
datatype = "FP64"
nullable = true
"""
CARD = """
[card]
intended_use = "Whom the call centre rings first."
limitations = "Not for companies."
risk_tier = "medium"
business_metric = "customers kept per hundred calls"
licences = ["CC-BY-4.0"]
deputy = "sam"

[[data]]
name = "training"
from = 2025-01-01
to = "2026-01-01"
"""
WHERE = Path("muster.toml")


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A model in a language that Muster does not know, and everything that is told of it, in files."""
    shutil.copytree(HOST, tmp_path / "source", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "source" / "muster.toml").write_text(DESCRIPTION)
    (tmp_path / "rows.csv").write_text("tenure,contract\n3,Month-to-month\n20,One year\n,Two year\n")
    (tmp_path / "card.toml").write_text(CARD)
    (tmp_path / "CHANGES.md").write_text("# Of this spring\n\nTrained on the year after the price change.\n")
    (tmp_path / "train.ipynb").write_text(json.dumps({"cells": [], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}))
    return tmp_path


def muster(lab: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command, typed in the lab."""
    return subprocess.run(
        [sys.executable, "-m", "muster", *arguments, "--json"], cwd=lab, capture_output=True, text=True, check=False
    )


def test_a_bundle_with_everything_told_meets_the_regulated_standard(lab: Path) -> None:
    """Assembled by the command with card, data, notes and notebook: nothing is missing; without them, all of it is."""
    bare = muster(lab, "assemble", "source", "--rows", "rows.csv", "-o", "bare")
    assert bare.returncode == 0, bare.stderr
    checked = muster(lab, "standard", "check", "bare", "--standard", "regulated")
    assert checked.returncode == 1
    missing = {one["name"] for one in json.loads(checked.stdout)["lacks"]}
    assert missing == {
        "release-notes", "notebook", "intended-use", "limitations", "risk-tier", "data-sources", "data-spans", "licences",
        "deputy", "business-metric",
    }  # fmt: skip
    full = muster(
        lab, "assemble", "source", "--rows", "rows.csv", "-o", "full", "--card", "card.toml", "--notes-file", "CHANGES.md",
        "--notebook", "train.ipynb", "--data", "training=rows.csv",
    )  # fmt: skip
    assert full.returncode == 0, full.stderr
    checked = muster(lab, "standard", "check", "full", "--standard", "regulated")
    assert checked.returncode == 0, checked.stdout
    assert json.loads(checked.stdout) == {
        "path": "full", "standard": "regulated", "tier": "medium", "meets": True, "lacks": [],
    }  # fmt: skip
    bundle = read_bundle(lab / "full")
    [training] = bundle.data
    assert (training.from_, training.to, training.rows) == ("2025-01-01", "2026-01-01", 3)
    assert training.digest.startswith("sha256:")
    assert training.uri.endswith("/rows.csv")
    assert (lab / "full" / "notebook.ipynb").read_bytes() == (lab / "train.ipynb").read_bytes()
    assert (lab / "full" / "NOTES.md").read_text() == (lab / "CHANGES.md").read_text()
    assert "Not for companies." in (lab / "full" / "README.md").read_text()
    assert [one for one in check_bundle(lab / "full") if one.level == "error"] == []


def test_muster_toml_of_the_source_may_tell_all_of_it(lab: Path) -> None:
    """Card, data, notes and notebook that the source names itself are in the bundle as they are."""
    source = lab / "source"
    card = CARD.replace("2025-01-01", '"2025-01-01"')  # a manifest holds no dates
    card = card.replace('name = "training"', 'name = "training"\nuri = "s3://bucket/churn.parquet"')
    said = f'notes = "CHANGES.md"\nnotebook = "train.ipynb"\n{DESCRIPTION}{card}'
    (source / "muster.toml").write_text(said)
    for name in ("CHANGES.md", "train.ipynb"):
        shutil.copy(lab / name, source / name)
    made = muster(lab, "assemble", "source", "--rows", "rows.csv", "-o", "full")
    assert made.returncode == 0, made.stderr
    bundle = read_bundle(lab / "full")
    assert (bundle.notes, bundle.notebook, bundle.card.deputy) == ("CHANGES.md", "train.ipynb", "sam")
    assert bundle.data[0].uri == "s3://bucket/churn.parquet"
    facts = facts_of_folder(lab / "full", bundle)
    assert [lacks_of_bundle(ready(name).of_tier(facts.tier), facts) for name in READY] == [()] * len(READY)


def test_what_is_given_beside_the_source_wins_key_by_key(tmp_path: Path) -> None:
    """The card file replaces single keys; data sets are joined by name; spans stay where a file is given for a set."""
    (tmp_path / "churn.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "card.toml").write_text('[card]\nlimitations = "new"\n[[data]]\nname = "training"\nto = "2026-02-01"\n')
    declared = {
        "card": {"intended_use": "kept", "limitations": "old"},
        "data": [{"name": "training", "uri": "s3://b/old", "from": "2025-01-01"}, {"name": "test", "uri": "s3://b/t"}],
    }
    told = Told(card=tmp_path / "card.toml", data={"training": str(tmp_path / "churn.csv")})
    read = read_told(told, declared, WHERE)
    assert (read.card.intended_use, read.card.limitations) == ("kept", "new")
    by_name = {source.name: source for source in data_sources(read.data)}
    assert (by_name["training"].from_, by_name["training"].to, by_name["training"].rows) == (
        "2025-01-01",
        "2026-02-01",
        2,
    )
    assert by_name["training"].uri.startswith("file://")
    assert by_name["test"].uri == "s3://b/t"


def test_secrets_in_an_address_do_not_get_into_the_bundle() -> None:
    """A password in a data set's address is left out."""
    declared = {"data": [{"name": "training", "uri": "postgresql://me:hunter2@db/churn"}]}
    assert "hunter2" not in str(read_told(Told(), declared, WHERE))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[card", "cannot be read"),
        ("", "neither"),
        ('[cards]\nintended_use = "x"\n', "cards"),
        ('[card]\nintended_usage = "x"\n', "intended_usage"),
        ("[card]\nlicences = 3\n", "licences"),
        ('card = "high"\n', "[card]"),
        ('[data]\nname = "training"\n', "[[data]]"),
        ('[[data]]\nuri = "s3://b/x"\n', "name"),
        ('[[data]]\nname = "training"\n', "no uri"),
        ('[[data]]\nname = "training"\nuri = 3\n', "uri"),
        ('[[data]]\nname = "training"\nuri = "s3://b/x"\nuntil = "2026-01-01"\n', "until"),
        ('[[data]]\nname = "a"\nuri = "s3://b"\n[[data]]\nname = "a"\nuri = "s3://c"\n', "two [[data]]"),
    ],
)
def test_a_card_file_that_cannot_be_used_is_refused_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    """The message names the file and what is wrong in it."""
    file = tmp_path / "card.toml"
    file.write_text(text)
    with pytest.raises(CardUnusable) as refused:
        read_told(Told(card=file), {}, WHERE)
    assert said in refused.value.message
    assert str(file) in refused.value.message


def test_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    """Card, notes, notebook and data that cannot be read: an error, not an empty place in the bundle."""
    nowhere = tmp_path / "nowhere"
    for told, kind in (
        (Told(card=nowhere), CardUnusable),
        (Told(notebook=nowhere), SampleUnusable),
        (Told(data={"training": str(nowhere)}), SampleUnusable),
    ):
        with pytest.raises(kind, match="nowhere"):
            read_told(told, {}, WHERE)
    (tmp_path / "empty.md").write_text("\n")
    (tmp_path / "bytes.md").write_bytes(b"\xff\xfe")
    for name in ("nowhere", "empty.md", "bytes.md"):
        with pytest.raises(CardUnusable, match=name):
            read_notes(tmp_path / name)


def test_both_kinds_of_notes_at_once_are_refused(lab: Path) -> None:
    """`--notes` and `--notes-file` say the same thing twice."""
    refused = muster(
        lab, "assemble", "source", "--rows", "rows.csv", "-o", "b", "--notes", "x", "--notes-file", "CHANGES.md"
    )
    assert refused.returncode == 2
    assert not (lab / "b").exists()
