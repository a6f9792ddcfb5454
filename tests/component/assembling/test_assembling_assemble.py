"""A folder of sources becomes a bundle: whole, sound, answered twice by the real host; or nothing is left of it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from muster.assembling.assemble import assemble
from muster.assembling.errors import AnswersUnexpected, AnswersVary, ModelErred, SourceUnusable, TargetTaken
from muster.assembling.told import Told
from muster.environments.shelf import Shelf
from muster.packaging.bundle import check_bundle, pack, read_bundle
from muster.packaging.columns import values_of
from muster.packaging.golden import read_golden
from muster.packaging.runtimes import CommandRuntime

HOST = Path(__file__).resolve().parents[3] / "examples" / "languages" / "any"
ROWS = "tenure,contract\n3,Month-to-month\n20,One year\n,Two year\n"
DESCRIPTION = """
name = "churn"
owners = ["ana"]
description = "Will this customer leave?"

[runtime]
kind = "command"
command = ["python3", "host.py"]

[[contract.outputs]]
name = "churn_probability"
datatype = "FP64"
nullable = true
"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("shelf")
    return Shelf(folder / "environments", folder / "uv-cache")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The model in a language that Muster does not know."""
    folder = tmp_path / "source"
    shutil.copytree(HOST, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "muster.toml").write_text(DESCRIPTION)
    (tmp_path / "rows.csv").write_text(ROWS)
    return folder


def nothing_left(folder: Path) -> bool:
    """Whether a failed attempt left no file behind."""
    return sorted(path.name for path in folder.iterdir()) == ["rows.csv", "source"]


def test_sources_and_rows_become_a_sound_bundle(tmp_path: Path, source: Path, shelf: Shelf) -> None:
    """The bundle has contract, golden answers, lock, toolchain and words; it can be packed, and the source is as it was."""
    before = sorted(path.name for path in source.iterdir())
    made = assemble(source, tmp_path / "bundle", rows=tmp_path / "rows.csv", told=Told(notes="first"), shelf=shelf)
    bundle = read_bundle(tmp_path / "bundle")
    assert made.bundle == bundle
    assert isinstance(bundle.runtime, CommandRuntime)
    assert bundle.runtime.toolchain
    assert [(field.name, str(field.datatype), field.nullable) for field in bundle.contract.inputs] == [
        ("tenure", "INT64", True), ("contract", "BYTES", False),
    ]  # fmt: skip
    golden = read_golden(tmp_path / "bundle", bundle)
    answers = values_of(golden.expected.columns["churn_probability"])
    assert answers[0] == pytest.approx(0.8214, abs=1e-3)
    assert answers[2] is None
    assert [one for one in check_bundle(tmp_path / "bundle") if one.level == "error"] == []
    assert "first" in (tmp_path / "bundle" / "NOTES.md").read_text()
    assert pack(tmp_path / "bundle", tmp_path / "one.zip") == pack(tmp_path / "bundle", tmp_path / "two.zip")
    assert sorted(path.name for path in source.iterdir()) == before
    assert list((tmp_path / "bundle").rglob("__pycache__")) == []


def test_expected_answers_are_held_against_the_host(tmp_path: Path, source: Path, shelf: Shelf) -> None:
    """The training program's answers pass to the last digits; one that differs is told by output and row, and nothing is written."""
    made = assemble(source, tmp_path / "bundle", rows=tmp_path / "rows.csv", shelf=shelf)
    golden = read_golden(made.folder, made.bundle)
    answers = values_of(golden.expected.columns["churn_probability"])
    expected = tmp_path / "expected.jsonl"
    expected.write_text("\n".join(json.dumps({"churn_probability": value}) for value in answers))
    again = assemble(source, tmp_path / "bundle", rows=tmp_path / "rows.csv", expected=expected, shelf=shelf)
    assert again.largest_deviation == 0.0
    shutil.rmtree(tmp_path / "bundle")
    expected.write_text("\n".join(json.dumps({"churn_probability": value and value + 0.01}) for value in answers))
    with pytest.raises(AnswersUnexpected, match="churn_probability, row"):
        assemble(source, tmp_path / "bundle", rows=tmp_path / "rows.csv", expected=expected, shelf=shelf)
    expected.unlink()
    assert nothing_left(tmp_path)


def test_a_model_that_answers_otherwise_each_time_is_refused(tmp_path: Path, source: Path, shelf: Shelf) -> None:
    """What is random cannot be certified, and is told before anybody tries."""
    (source / "model.py").write_text(
        "import random\ndef predict(columns, rows):\n    return {'churn_probability': [random.random() for _ in range(rows)]}\n"
    )
    with pytest.raises(AnswersVary, match="second run"):
        assemble(source, tmp_path / "bundle", rows=tmp_path / "rows.csv", shelf=shelf)
    assert nothing_left(tmp_path)


def test_what_a_failing_model_says_is_shown(tmp_path: Path, source: Path, shelf: Shelf) -> None:
    """The error of the model comes through to the author."""
    (source / "model.py").write_text("def predict(columns, rows):\n    raise ValueError('no such plan')\n")
    with pytest.raises(ModelErred, match="no such plan"):
        assemble(source, tmp_path / "bundle", rows=tmp_path / "rows.csv", shelf=shelf)
    assert nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('name = "churn"\n', "kind = None"),
        (DESCRIPTION.replace('kind = "command"', 'kind = "cobol"'), "kind = 'cobol' is none of"),
        (DESCRIPTION.replace('kind = "command"', 'kind = "python"'), "muster.save"),
        (DESCRIPTION.replace('owners = ["ana"]', ""), "lacks 'owners'"),
        (DESCRIPTION.replace("owners", "owner"), "'owner'"),
        (DESCRIPTION.replace('datatype = "FP64"', 'datatype = "DOUBLE"'), "DOUBLE"),
        (DESCRIPTION.replace("[[contract.outputs]]", "[[contract.output]]"), "contract.outputs"),
        (DESCRIPTION.replace("command = [", "commands = ["), "commands"),
    ],
)
def test_a_description_that_cannot_be_used_is_told(
    tmp_path: Path, source: Path, shelf: Shelf, text: str, told: str
) -> None:
    """Whatever is wrong with the few lines of muster.toml, the key is named, and nothing is built."""
    (source / "muster.toml").write_text(text)
    with pytest.raises(SourceUnusable, match=told):
        assemble(source, tmp_path / "bundle", rows=tmp_path / "rows.csv", shelf=shelf)
    assert nothing_left(tmp_path)


def test_a_folder_that_is_no_bundle_is_left_alone(tmp_path: Path, source: Path, shelf: Shelf) -> None:
    """Nothing is overwritten but an earlier bundle."""
    target = tmp_path / "photos"
    target.mkdir()
    (target / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(TargetTaken):
        assemble(source, target, rows=tmp_path / "rows.csv", shelf=shelf)
    assert [path.name for path in target.iterdir()] == ["cat.jpg"]


def test_the_command_says_what_it_made(tmp_path: Path, source: Path) -> None:
    """`muster assemble --json` prints one document; a wrong use exits with the code of its family and one problem document."""
    command = [sys.executable, "-m", "muster", "assemble", str(source), "--json"]
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    full = [*command, "--rows", str(tmp_path / "rows.csv"), "-o", str(tmp_path / "bundle")]
    done = subprocess.run(full, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert (document["model"], document["kind"], document["golden_rows"]) == ("churn", "command", 3)
    wrong = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert wrong.returncode == 2
    assert json.loads(wrong.stderr)["code"] == "cli.usage"
