"""Models and versions on both databases, with real bundles in a real store."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from governed_factory import GovernedFactory
from made_bundles import CONTRACT, LOCK, made_bundle
from muster.access.errors import RightMissing
from muster.audit.entries import Deed
from muster.audit.errors import IdempotencyKeyReused
from muster.blobs.errors import BlobDamaged, BlobsUnavailable
from muster.packaging.bundle import pack
from muster.packaging.contract import contract_digest
from muster.packaging.errors import BundleMalformed, ZipRefused
from muster.packaging.manifest import manifest_of
from muster.registry.errors import (
    BundleRefused,
    FileNotFound,
    ModelNameOther,
    ModelNotFound,
    ReasonMissing,
    VersionNotFound,
    VersionStateUnfit,
)
from muster.registry.records import Version
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.digests import Digest, digest_of, hex_of
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


def test_a_registered_bundle_is_a_version(factory: GovernedFactory, tmp_path: Path) -> None:
    """Its identity is the digest of its manifest, its contract and people are those of muster.toml."""
    folder = made_bundle(tmp_path / "mine", owners=("ana", "bo"), authors=("cy",), tags={"team": "retention"})
    pack(folder, tmp_path / "mine.zip")
    version = factory.registry.register(factory.call("ana"), tmp_path / "mine.zip")
    assert version.name == VersionName("churn", 1)
    assert version.digest == manifest_of(folder).digest
    assert (version.state, version.registered_by) == (VersionState.REGISTERED, "ana")
    assert (version.owners, version.authors, version.tags) == (("ana", "bo"), ("cy",), {"team": "retention"})
    assert (version.contract, version.contract_digest) == (CONTRACT, contract_digest(CONTRACT))
    assert version.lock_digest == digest_of(LOCK)
    assert factory.registry.version(factory.call("vic"), version.name) == version
    assert factory.events("churn:1") == [("ana", "version.registered")]


def test_the_same_bytes_again_are_the_same_version(factory: GovernedFactory) -> None:
    """Whoever registers them, and however often: the first registration counts, and nothing else is put on record."""
    bundle = factory.zip()
    first = factory.registry.register(factory.call("ana"), bundle)
    assert factory.registry.register(factory.call("sam"), bundle) == first
    with factory.database.write() as tx:
        factory.registry.move(tx, first, VersionState.BANNED)
    assert factory.registry.register(factory.call("ana"), bundle).state is VersionState.BANNED
    assert factory.events("churn:1") == [("ana", "version.registered")]


def test_versions_of_a_model_count_up(factory: GovernedFactory) -> None:
    """Numbers are given in the order of registration, per model, and a model is there from its first version on."""
    factory.register()
    factory.register(name="fraud")
    factory.register()
    call = factory.call("vic")
    assert [str(version.name) for version in factory.registry.versions(call, "churn")] == ["churn:2", "churn:1"]
    churn, fraud = factory.registry.models(call)
    assert (churn.name, churn.versions, str(churn.latest and churn.latest.name)) == ("churn", 2, "churn:2")
    assert (fraud.name, fraud.versions, fraud.created_by) == ("fraud", 1, "ana")


def test_two_who_register_at_once_get_their_own_numbers(factory: GovernedFactory) -> None:
    """Different bundles at the same moment become different versions, the same bundle one."""
    bundles = [factory.zip() for _ in range(3)]
    found: list[Version] = []
    gate = threading.Barrier(6)

    def register(bundle: Path, by: str) -> None:
        gate.wait()
        found.append(factory.registry.register(factory.call(by), bundle))

    threads = [threading.Thread(target=register, args=(bundle, by)) for bundle in bundles for by in ("ana", "sam")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert {version.number for version in found} == {1, 2, 3}
    assert len({(version.number, version.digest) for version in found}) == 3


def test_a_model_must_be_called_as_its_bundle_says(factory: GovernedFactory) -> None:
    """Registering under another name is a mistake, not a renaming."""
    with pytest.raises(ModelNameOther, match="of model churn, not of fraud"):
        factory.registry.register(factory.call("ana"), factory.zip(), model="fraud")
    assert factory.registry.register(factory.call("ana"), factory.zip(), model="churn").number == 1


def test_a_broken_bundle_is_refused_and_leaves_nothing(factory: GovernedFactory, tmp_path: Path) -> None:
    """Whatever is wrong with it is said, with the remedies, and no model appears."""
    folder = made_bundle(tmp_path / "broken")
    (folder / "model" / "model.cloudpickle").unlink()
    (folder / "golden.parquet").write_bytes(b"not parquet")
    pack(folder, tmp_path / "broken.zip")
    with pytest.raises(BundleRefused, match="model is missing") as refused:
        factory.registry.register(factory.call("ana"), tmp_path / "broken.zip")
    assert len(refused.value.facts["findings"]) == len(refused.value.facts["remedies"]) == 2
    torn = tmp_path / "torn.zip"
    torn.write_bytes((tmp_path / "broken.zip").read_bytes()[:-100])
    with pytest.raises(ZipRefused):
        factory.registry.register(factory.call("ana"), torn)
    (folder / "muster.toml").write_text("format = 7\n")
    pack(folder, tmp_path / "future.zip")
    with pytest.raises(BundleMalformed, match="format 7"):
        factory.registry.register(factory.call("ana"), tmp_path / "future.zip")
    assert factory.registry.models(factory.call("vic")) == ()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_the_factory_does_not_hold_cannot_be_served(factory: GovernedFactory, tmp_path: Path) -> None:
    """A file by reference is taken only when the store has it already."""
    folder = made_bundle(tmp_path / "large")
    digest = digest_of(b"weights")
    told = f'\n[[external]]\npath = "model/weights.bin"\nuri = "s3://elsewhere/w"\ndigest = "{digest}"\nsize = 7\n'
    with (folder / "muster.toml").open("a") as stream:
        stream.write(told)
    pack(folder, tmp_path / "large.zip")
    with pytest.raises(BundleRefused, match="does not hold it"):
        factory.registry.register(factory.call("ana"), tmp_path / "large.zip")
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"weights")
    factory.blobs.put(weights)
    assert factory.registry.register(factory.call("ana"), tmp_path / "large.zip").number == 1


def test_files_and_manifest_come_back_as_they_were_registered(factory: GovernedFactory, tmp_path: Path) -> None:
    """Byte for byte, verified; what is not in the bundle is not found."""
    folder = made_bundle(tmp_path / "mine")
    pack(folder, tmp_path / "mine.zip")
    version = factory.registry.register(factory.call("ana"), tmp_path / "mine.zip")
    call = factory.call("vic")
    manifest = factory.registry.manifest(call, version.name)
    assert manifest == manifest_of(folder)
    for entry in manifest.files:
        with factory.registry.file(call, version.name, entry.path) as stream:
            assert stream.read() == (folder / entry.path).read_bytes()
    for path in ("secrets.txt", "../../muster.db", "manifest.json", ""):
        with pytest.raises(FileNotFound):
            factory.registry.file(call, version.name, path)
    notes = manifest.file("NOTES.md")
    assert notes is not None
    stored = tmp_path / "store" / "sha256" / notes.digest[7:9] / hex_of(digest_of(b"first\n"))
    stored.chmod(0o644)
    stored.write_bytes(b"forged\n")
    with pytest.raises(BlobDamaged), factory.registry.file(call, version.name, "NOTES.md") as stream:
        stream.read()


def test_a_diff_names_what_is_not_alike(factory: GovernedFactory) -> None:
    """Files, fields, locked packages and declarations, each before and after."""
    other = Contract(
        inputs=(CONTRACT.inputs[0], Field("plan", Datatype.BYTES, nullable=True), Field("age", Datatype.INT64, required=False, nullable=True)),
        outputs=CONTRACT.outputs,
    )  # fmt: skip
    lock = LOCK + b"extra==1.0 --hash=sha256:" + b"0" * 64 + b"\n"
    before = factory.register(notes="one")
    after = factory.register(notes="two", owners=("sam",), contract=other, lock=lock, tags={"team": "a"})
    call = factory.call("vic")
    diff = factory.registry.diff(call, before.name, after.name)
    assert {"NOTES.md", "muster.toml", "requirements.lock"} <= {found.what for found in diff.files}
    assert "README.md" not in {found.what for found in diff.files}
    assert [(found.what, found.before is None) for found in diff.contract] == [
        ("input age", True), ("input plan", False),
    ]  # fmt: skip
    assert [(found.what, found.before, found.after) for found in diff.packages] == [("extra", None, "1.0")]
    declared = {found.what: (found.before, found.after) for found in diff.declared}
    assert declared["owners"] == (["ana"], ["sam"])
    assert declared["tags.team"] == (None, "a")
    assert not diff.same
    turned = factory.registry.diff(call, after.name, before.name)
    assert [(found.before, found.after) for found in turned.packages] == [("1.0", None)]
    assert factory.registry.diff(call, before.name, before.name).same


def test_what_is_not_there_is_not_found(factory: GovernedFactory) -> None:
    """Neither is a version of another project."""
    factory.register()
    call = factory.call("vic")
    with pytest.raises(ModelNotFound):
        factory.registry.model(call, "fraud")
    for name in (VersionName("churn", 2), VersionName("fraud", 1)):
        with pytest.raises(VersionNotFound):
            factory.registry.version(call, name)
    with pytest.raises(VersionNotFound):
        factory.registry.manifest(factory.call("vic", "other"), VersionName("churn", 1))
    assert factory.registry.models(factory.call("vic", "other")) == ()
    registered = factory.registry.register(factory.call("ana", "other"), factory.zip())
    assert (registered.project, registered.number) == ("other", 1)


def test_deeds_need_their_rights(factory: GovernedFactory) -> None:
    """Registering is the scientist's, ending a version the approver's."""
    version = factory.accepted()
    for name in ("vic", "paul", "olga"):
        with pytest.raises(RightMissing):
            factory.registry.register(factory.call(name), factory.zip())
    for name in ("vic", "ana", "olga"):
        with pytest.raises(RightMissing):
            factory.registry.retire(factory.call(name), version.name, "old")
        with pytest.raises(RightMissing):
            factory.registry.ban(factory.call(name), version.name, "bad")
    with pytest.raises(RightMissing):
        factory.registry.models(factory.call("front"))


def test_the_ends_of_a_versions_life(factory: GovernedFactory) -> None:
    """Retired from certified or accepted, banned from anywhere, each with a reason and for ever."""
    registered, accepted = factory.register(), factory.accepted()
    call = factory.call("paul")
    with pytest.raises(VersionStateUnfit):
        factory.registry.retire(call, registered.name, "old")
    with pytest.raises(ReasonMissing):
        factory.registry.ban(call, registered.name, "\n")
    assert factory.registry.ban(call, registered.name, "bad").state is VersionState.BANNED
    assert factory.registry.retire(call, accepted.name, "old").state is VersionState.RETIRED
    assert factory.registry.ban(call, accepted.name, "bad after all").state is VersionState.BANNED
    with pytest.raises(VersionStateUnfit):
        factory.registry.retire(call, accepted.name, "old")
    assert factory.events(str(accepted.name))[-2:] == [("paul", "version.retired"), ("paul", "version.banned")]


def test_a_repeated_request_is_carried_out_once(factory: GovernedFactory) -> None:
    """Registering and ending, repeated with their keys, give what is there now."""
    bundle, other = factory.zip(), factory.zip()
    keyed = factory.call("ana", idempotency_key="k", request_digest="d")
    first = factory.registry.register(keyed, bundle)
    assert factory.registry.register(keyed, bundle) == first
    with pytest.raises(IdempotencyKeyReused):
        factory.registry.register(replace(keyed, request_digest="e"), other)
    ban = factory.call("paul", idempotency_key="k", request_digest="b")
    assert factory.registry.ban(ban, first.name, "bad") == factory.registry.ban(ban, first.name, "bad")
    assert len(factory.events("churn:1")) == 2


def test_whose_work_a_version_is(factory: GovernedFactory) -> None:
    """Who registered it, owns it or is named as author, and nobody else."""
    version = factory.register(by="sam", owners=("ana",), authors=("paul",))
    owns = {
        name: factory.registry.owns(factory.call(name).actor, str(version.name))
        for name in ("ana", "sam", "paul", "olga")
    }
    assert owns == {"ana": True, "sam": True, "paul": True, "olga": False}
    assert not factory.registry.owns(factory.call("ana").actor, "churn:9")
    assert not factory.registry.owns(factory.call("ana").actor, "default")
    assert not factory.registry.owns(factory.call("ana").actor, str(version.name), "other")


def test_a_version_is_there_only_with_all_its_bytes(factory: GovernedFactory, tmp_path: Path) -> None:
    """Blobs come before rows: what fails half-way leaves bytes that nobody names, never a version without bytes."""
    bundle = factory.zip()
    full = tmp_path / "store" / "incoming"
    full.rmdir()
    full.write_text("in the way")
    with pytest.raises(BlobsUnavailable):
        factory.registry.register(factory.call("ana"), bundle)
    assert factory.registry.models(factory.call("vic")) == ()
    full.unlink()
    full.mkdir()
    version = factory.registry.register(factory.call("ana"), bundle)
    manifest = factory.registry.manifest(factory.call("vic"), version.name)
    digests = [version.digest, *(Digest(entry.digest) for entry in manifest.files)]
    assert all(factory.blobs.has(digest) for digest in digests)


def test_no_number_of_events_hides_what_was_registered(factory: GovernedFactory) -> None:
    """Those about the version of the same name in another project come before this one was there."""
    factory.register()
    remark = Deed(actor="vic", action="version.commented", subject="churn:1", project="default", details={})
    with factory.database.write() as tx:
        for _ in range(101):
            factory.journal.append(tx, remark)
    registered = factory.registry.register(factory.call("sam", "other"), factory.zip())
    assert factory.registry.version(factory.call("sam", "other"), registered.name) == registered
