"""The model card and the data of a bundle: written, read, refused, and what a standard finds in them."""

from datetime import date
from pathlib import Path

import msgspec
import pytest

from made_bundles import made_bundle
from muster.packaging.bundle import check_bundle
from muster.packaging.data_sets import data_sources, described_data
from muster.packaging.documents import Card, DataSource, bundle_of, read_description
from muster.packaging.errors import BundleMalformed, SampleUnusable
from muster.packaging.manifest import declared_in, manifest_of
from muster.standards.document import REQUIREMENTS
from muster.standards.facts import facts_of_folder, facts_of_manifest
from muster.vocabulary.digests import digest_of

CARD = Card(
    intended_use="Whom to call.\nNot more.", limitations="Not for companies.", risk_tier="medium",
    business_metric="churn", licences=("CC-BY-4.0",), deputy="ben",
)  # fmt: skip
DATA = (
    DataSource(name="training", uri="s3://bucket/churn.parquet", from_="2025-01-01", to="2026-01-01T00:00:00Z", rows=7),
)


def test_card_and_data_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Through muster.toml and through the manifest, which is canonical JSON."""
    folder = made_bundle(tmp_path / "b", card=CARD, data=DATA, notebook=True)
    read = read_description(folder)
    assert (read.card, read.data, read.notebook) == (CARD, DATA, "notebook.ipynb")
    assert bundle_of(manifest_of(folder).declared) == read
    assert [one for one in check_bundle(folder) if one.level == "error"] == []


def test_a_bundle_without_a_card_is_as_it_always_was(tmp_path: Path) -> None:
    """Nothing of it is written, so that the bytes of a bundle are what they were."""
    folder = made_bundle(tmp_path / "b")
    assert not {"card", "data", "notes", "notebook"} & declared_in(folder).keys()
    assert read_description(folder).card == Card()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"card": {"intended_us": "x"}}, "unknown field `intended_us`"),
        ({"card": {"risk_tier": "Very High"}}, "[card] risk_tier"),
        ({"card": {"deputy": "Ben B."}}, "[card] deputy"),
        ({"card": {"licences": [" "]}}, "licences"),
        ({"card": {"limitations": "x" * 20_001}}, "more than 20000"),
        ({"data": [{"name": "a", "uri": ""}]}, "needs a name and a uri"),
        ({"data": [{"name": "a", "uri": "u"}, {"name": "a", "uri": "v"}]}, "more than once"),
        ({"data": [{"name": "a", "uri": "u", "from": "yesterday"}]}, "neither like 2025-01-01"),
        ({"data": [{"name": "a", "uri": "u", "from": "2026-01-01", "to": "2025-01-01"}]}, "ends before it begins"),
        ({"data": [{"name": "a", "uri": "u", "rows": -1}]}, "-1 rows"),
        ({"data": [{"name": "a", "uri": "u", "digest": "md5:1"}]}, "digest"),
        ({"notes": "../NOTES.md"}, "no plain relative path"),
        ({"notebook": "/etc/passwd"}, "no plain relative path"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, said: dict[str, object], told: str) -> None:
    """With where it stands."""
    declared = {**declared_in(made_bundle(tmp_path / "b")), **said}
    with pytest.raises(BundleMalformed) as refused:
        bundle_of(declared)
    assert told.replace("no plain", "not a plain") in refused.value.message


def test_files_that_are_named_have_to_be_there(tmp_path: Path) -> None:
    """Release notes and notebook that muster.toml names and the folder lacks are errors."""
    folder = made_bundle(tmp_path / "b", notebook=True)
    (folder / "notebook.ipynb").unlink()
    assert "notebook.ipynb" in {one.path for one in check_bundle(folder) if one.level == "error"}


def test_facts_are_the_same_in_the_lab_and_in_the_factory(tmp_path: Path) -> None:
    """From the folder, and from the manifest with a store."""
    for name, said in (
        ("full", {"card": CARD, "data": DATA, "notebook": True}),
        ("bare", {"notes": "# only a heading"}),
    ):
        folder = made_bundle(tmp_path / name, **said)
        manifest = manifest_of(folder)
        store = {digest_of(file.read_bytes()): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        lab = facts_of_folder(folder, read_description(folder))
        assert lab == facts_of_manifest(manifest, bundle_of(manifest.declared), store.__getitem__)
        assert lab.has == (frozenset(REQUIREMENTS) if name == "full" else frozenset({"owner"}))
        assert (lab.tier, lab.deputy) == (("medium", "ben") if name == "full" else (None, None))


def test_data_is_described_with_its_span() -> None:
    """Spans may be dates; secrets do not get in; what is none is refused."""
    described = described_data(
        {"training": {"uri": "https://user:secret@host/x.parquet?key=1", "from": date(2025, 1, 1), "to": "2026-01-01"}}
    )
    (source,) = data_sources(described)
    assert (source.from_, source.to) == ("2025-01-01", "2026-01-01")
    assert "secret" not in msgspec.json.encode(source).decode()
    for wrong in ({"a": {"from": "2025-01-01"}}, {"a": 5}):
        with pytest.raises(SampleUnusable):
            described_data(wrong)
    with pytest.raises(SampleUnusable):
        data_sources(described_data({"a": {"uri": "s3://x", "rows": "many"}}))
