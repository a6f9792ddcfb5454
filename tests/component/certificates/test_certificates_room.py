"""Certificates once they are given: signed, verified, renewed, and what is said when they end."""

import base64
import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.signer._key import SSlibKey

from governed_factory import GovernedFactory, ObedientFront
from known_figures import add_certificate, latency
from made_bundles import CONTRACT
from muster.access.errors import RightMissing
from muster.attestation.envelopes import pae
from muster.attestation.keys import new_key
from muster.bootstrap.signed_certificates import signed_certificates_of
from muster.certificates.errors import (
    CertificateAltered,
    CertificateChanged,
    CertificateMissing,
    CertificateUnsigned,
    KeyKnown,
    KeyNotFound,
    KeyRevoked,
    KeyUnavailable,
    KeyUnchanged,
    NotYourKey,
    SignatureRefused,
)
from muster.certificates.keys import Keys
from muster.certificates.records import NoticeKind
from muster.certification.records import LATENCY_CHECK, Check, Examined
from muster.gates.records import WaiverState
from muster.registry.records import Version
from muster.sessions.records import Measure
from muster.standards.errors import StandardNotMet
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import FixedClock, rfc3339
from muster.vocabulary.digests import Digest, digest_of
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import SessionState, VersionState

ENVIRONMENT = digest_of(b"environment")
STANDARD = """
format = 1
name = "lasting"
[certificate]
valid = "30d"
renew = "7d"
[checks.contract-holds]
needed = false
[gates.acceptance]
approvals = [{ count = 1 }]
"""


class Bench:
    """Stands in for the machine on which versions are examined: what it finds is written down here."""

    def __init__(self) -> None:
        self.golden = True
        self.further: dict[str, float] = {}
        """Further figures of a check."""

    def examine(self, *_: Any, **__: Any) -> Examined:
        checks = (
            Check(
                name="golden-answers",
                passed=self.golden,
                figure=0 if self.golden else 3,
                limit=0,
                detail="of 9",
                figures=self.further,
            ),
            Check(name=LATENCY_CHECK, passed=True, figure=0.5, limit=9.0, figures=latency(1.0).figures()),
            Check(name="contract-holds", passed=False, figure=float("inf"), limit=1.5, detail="waived by the standard"),
        )
        return Examined(
            checks=checks,
            environment=ENVIRONMENT,
            hardware="a machine",
            measures=(Measure(name="roc_auc", version=1, value=0.75, over="golden"),),
            may_fail=frozenset({"contract-holds"}),
        )


class Certifying(GovernedFactory):
    """A factory whose certificates are signed and watched."""

    def __init__(self, database: Database, folder: Path, clock: FixedClock) -> None:
        super().__init__(database, folder, clock)
        self.bench = Bench()
        self.now: dict[str, Digest | None] = {}
        """What this machine would build of a version; nothing said: what was certified."""
        parts = signed_certificates_of(
            database=database,
            journal=self.journal,
            certification=self.certification,
            registry=self.registry,
            sessions=self.sessions,
            keys=self.keys,
            environment_now=lambda version: self.now.get(str(version.name), ENVIRONMENT),
            clock=clock,
        )
        self.certificates, self.notices = parts.certificates, parts.notices

    def examined(self, version: Version, *, asked: bool = True) -> SessionState:
        """A version, examined."""
        if asked:
            self.certification.certify(self.call("ana"), version.name)
        claimed = self.sessions.claim("e1", ["certification"])
        assert claimed is not None
        return self.certification.run(claimed, lambda _: None, self.bench).state  # type: ignore[arg-type]

    def certified(self, by: str = "ana", **said: object) -> Version:
        version = self.register(by, **said)
        assert self.examined(version) is SessionState.PASSED
        return version

    def problems(self, version: Version) -> list[str]:
        """What is wrong with the newest certificate of a version."""
        return [problem.code for problem in self.certificates.verify(self.call("vic"), version.name).problems]

    def said(self, *, urgent_only: bool = False) -> list[NoticeKind]:
        """The notices that hold."""
        return [one.kind for one in self.notices.notices(self.call("vic"), urgent_only=urgent_only)]


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> Certifying:
    return Certifying(database, tmp_path, clock)


@pytest.fixture
def quick(sqlite_database: Database, tmp_path: Path, clock: FixedClock) -> Certifying:
    """For tests to which the kind of database does not matter."""
    return Certifying(sqlite_database, tmp_path, clock)


def keyed(owner: str, factory: Certifying) -> tuple[Any, str]:
    """A key of somebody, made known."""
    key = new_key()
    return key, factory.keys.add(factory.call(owner), key.public.pem, "my key").public.id


def signature(key: Any, factory: Certifying, version: Version) -> dict[str, str]:
    """What somebody sends who has signed the newest certificate."""
    signed = factory.certificates.signed(factory.call("vic"), version.name)
    made = key.sign(pae(signed.envelope.payload_type, signed.envelope.content))
    return {"session": signed.session, "key_id": key.public.id, "sig": base64.b64encode(made).decode()}


def test_a_certificate_says_everything_and_is_signed(factory: Certifying) -> None:
    """Subject, checks with figures and limits, measures, standard, machine, people and end; a library that is not ours verifies it."""
    number = factory.adopt(STANDARD)
    version = factory.certified()
    signed = factory.certificates.signed(factory.call("vic"), version.name)
    said = signed.statement.predicate
    assert signed.statement.digest == version.digest
    assert (said.factory, said.project, said.version, said.session) == ("f-test", "default", "churn:1", signed.session)
    assert said.standard is not None
    assert (said.standard.name, said.standard.version, said.standard.digest) == (
        "lasting",
        number,
        digest_of(STANDARD.encode()),
    )
    assert [(one.name, one.passed, one.figure, one.limit, one.waived) for one in said.checks] == [
        ("golden-answers", True, 0, 0, False),
        ("one-row-latency", True, 0.5, 9.0, False),
        ("contract-holds", False, "inf", 1.5, True),
    ]
    assert [(one.name, one.value, one.over) for one in said.measures] == [("roc_auc", 0.75, "golden")]
    assert (said.environment, said.hardware, said.requested_by) == (ENVIRONMENT, "a machine", "ana")
    now = factory.clock.at
    assert (said.at, said.expires) == (rfc3339(now), rfc3339(now + timedelta(days=30)))
    (own,) = factory.keys.listed()
    theirs = SSlibKey(own.public.id, "ed25519", "ed25519", {"public": own.public.key.public_bytes_raw().hex()})
    envelope = TheirEnvelope.from_dict(json.loads(signed.envelope.encode()))
    assert set(envelope.verify([theirs], 1)) == {own.public.id}
    assert json.loads(envelope.payload)["predicateType"] == "https://muster.dev/certificate/v1"
    verified = factory.certificates.verify(factory.call("vic"), version.name)
    assert verified.is_good, verified.problems
    assert [key.owner for key in verified.signed_by] == [""]
    assert ("muster", "certificate.key-added") in factory.events()


def test_a_version_without_a_signed_certificate_is_told_so(quick: Certifying) -> None:
    """None at all, and one of an earlier version of Muster, which is as good as before."""
    version = quick.register()
    with pytest.raises(CertificateMissing):
        quick.certificates.signed(quick.call("vic"), version.name)
    quick.examined(version)
    with quick.database.write() as tx:
        tx.execute(sa.text("UPDATE certificates SET envelope = NULL, expires_at = NULL, standard = NULL"))
    assert quick.certification.certificate(quick.call("vic"), version.name) is not None
    with pytest.raises(CertificateUnsigned):
        quick.certificates.verify(quick.call("vic"), version.name)
    quick.clock.at += timedelta(seconds=1)
    quick.examined(version)
    assert quick.problems(version) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE certificates SET environment = 'sha256:00'", CertificateAltered),
        ("UPDATE certificates SET expires_at = NULL", CertificateAltered),
        (
            "UPDATE certificates SET checks = replace(checks, '\"passed\": false', '\"passed\": true')",
            CertificateAltered,
        ),
        ("UPDATE certificates SET checks = replace(checks, '\"figure\": 0.5', '\"figure\": 0.4')", CertificateAltered),
        ("UPDATE certificates SET checks = replace(checks, '\"limit\": 9.0', '\"limit\": 99.0')", CertificateAltered),
        ("UPDATE certificates SET checks = replace(checks, 'of 9', 'of 99')", CertificateAltered),
        ("UPDATE certificates SET checks = replace(checks, '\"p99_ms\": 0.5', '\"p99_ms\": 0.1')", CertificateAltered),
        ("UPDATE certificates SET hardware = 'a larger machine'", CertificateAltered),
        ("UPDATE certificates SET standard = NULL", CertificateAltered),
        ("UPDATE certificates SET twin = environment", CertificateAltered),
        ("UPDATE certificates SET requested_by = 'sam'", CertificateAltered),
        ("UPDATE session_measures SET value = 0.99", CertificateAltered),
        ("DELETE FROM session_measures", CertificateAltered),
        ("UPDATE certificates SET envelope = 'x'", CertificateAltered),
        ('UPDATE certificates SET envelope = replace(envelope, \'"sig":"\', \'"sig":"AAAA\')', "signature"),
        ("UPDATE certificate_keys SET pem = 'other'", "signature"),
    ],
    ids=[
        "environment",
        "end",
        "check",
        "figure",
        "limit",
        "detail",
        "figures",
        "hardware",
        "standard",
        "twin",
        "requested-by",
        "measure",
        "no-measure",
        "nothing",
        "signature",
        "key",
    ],
)
def test_a_certificate_that_was_changed_is_found(quick: Certifying, change: str, problem: Any) -> None:
    """In the database, by whoever could write there: the row, the envelope, the key beside it. It passes no gate, either."""
    quick.adopt(STANDARD)
    version = quick.certified()
    with quick.database.write() as tx:
        tx.execute(sa.text(change).bindparams() if "other" not in change else sa.text(
            "UPDATE certificate_keys SET pem = :pem").bindparams(pem=new_key().public.pem))  # fmt: skip
    if isinstance(problem, str):
        assert quick.problems(version) == [problem]
    else:
        with pytest.raises(problem):
            quick.certificates.verify(quick.call("vic"), version.name)
    with pytest.raises(StandardNotMet, match="certificate: "):
        quick.approvals.accept(quick.call("petra"), version.name, "good")


def test_a_figure_that_json_cannot_hold_spoils_no_certificate(quick: Certifying) -> None:
    """Infinite ones are texts in what is signed, also among the further figures of a check."""
    quick.adopt(STANDARD)
    quick.bench.further = {"worst": float("inf"), "best": float("-inf"), "rows": 3.0}
    version = quick.certified()
    assert quick.problems(version) == []
    said = quick.certificates.signed(quick.call("vic"), version.name).statement.predicate
    assert said.checks[0].figures == {"worst": "inf", "best": "-inf", "rows": 3.0}
    assert str(quick.approvals.accept(quick.call("petra"), version.name, "good").state) == "accepted"


def test_what_was_changed_after_its_acceptance_does_not_go_live(quick: Certifying) -> None:
    """The gate of releases looks again, and no waiver of the certificate passes over it; restored, it goes live."""
    quick.adopt(STANDARD)
    version = quick.certified()
    quick.approvals.accept(quick.call("petra"), version.name, "good")
    reviews, ends = quick.governance.reviews, quick.clock.at + timedelta(days=1)
    asked = reviews.ask_waiver(quick.call("ana"), version.name, "certificate", ends, "for a while")
    reviews.decide_waiver(quick.call("piet"), asked.id, WaiverState.GRANTED, "so be it")
    front = ObedientFront(quick)
    front.poll()
    release = quick.propose(quick.registry.version(quick.call("vic"), version.name))

    def put(hardware: str) -> None:
        with quick.database.write() as tx:
            tx.execute(sa.text("UPDATE certificates SET hardware = :it").bindparams(it=hardware))

    put("a larger machine")
    with pytest.raises(StandardNotMet, match="it is not what was signed: hardware"):
        quick.approve(release)
    put("a machine")
    assert str(quick.approve(release).state) == "approved"


def test_only_what_is_older_than_the_factorys_key_need_not_be_signed(quick: Certifying) -> None:
    """A certificate of an earlier version of Muster passes its gate as before; one whose signature was taken away does not."""
    old = quick.registry.register(quick.call("ana"), quick.zip())
    with quick.database.write() as tx:
        quick.registry.move(tx, old, VersionState.CERTIFIED)
        add_certificate(tx, old, quick.clock)
    quick.clock.at += timedelta(seconds=1)
    quick.certified()
    assert str(quick.approvals.accept(quick.call("petra"), old.name, "good").state) == "accepted"
    quick.clock.at += timedelta(seconds=1)
    young = quick.certified()
    with quick.database.write() as tx:
        tx.execute(sa.text("UPDATE certificates SET envelope = NULL"))
    with pytest.raises(StandardNotMet, match="it is not signed, and the factory has a key since"):
        quick.approvals.accept(quick.call("petra"), young.name, "good")


def test_what_is_not_as_it_was_certified_is_found(quick: Certifying) -> None:
    """The stored bytes, the time, the machine, the state of the version; each by its own name."""
    quick.adopt(STANDARD)
    version = quick.certified()
    assert quick.problems(version) == []
    quick.now["churn:1"] = digest_of(b"another")
    assert quick.problems(version) == ["environment"]
    quick.now["churn:1"] = None
    assert quick.problems(version) == [], "where tools are missing nobody can tell"
    quick.clock.at += timedelta(days=30)
    assert quick.problems(version) == ["expired"]
    quick.registry.ban(quick.call("paul"), version.name, "wrong data")
    assert quick.problems(version) == ["expired", "state"]
    blob = next(
        path for path in (quick.folder / "store").rglob("*") if path.is_file() and b"churn" in path.read_bytes()
    )
    blob.chmod(0o644)
    blob.write_bytes(b"forged")
    assert "bytes" in quick.problems(version)


def test_rotation_revokes_the_old_key_and_spoils_no_certificate(factory: Certifying) -> None:
    """What was signed before stays good; a statement that a revoked key signs afterwards does not."""
    first = factory.certified()
    (old,) = factory.keys.listed()
    factory.clock.at += timedelta(hours=1)
    call = factory.call("adele", idempotency_key="k", request_digest="d")
    new = factory.keys.rotate(call, "every year")
    assert factory.keys.rotate(call, "every year").public.id == new.public.id
    second = factory.certified()
    listed = factory.keys.listed()
    assert [(key.public.id, key.revoked_by, key.reason) for key in listed] == [
        (new.public.id, None, ""),
        (old.public.id, "adele", "every year"),
    ]
    verified = [factory.certificates.verify(factory.call("vic"), version.name) for version in (first, second)]
    assert [one.signed_by[0].public.id for one in verified] == [old.public.id, new.public.id]
    assert all(one.is_good for one in verified)
    files = list((factory.folder / "keys").iterdir())
    assert [(file.stat().st_mode & 0o777, file.read_text().startswith("-----BEGIN PRIVATE")) for file in files] == [
        (0o600, True)
    ]
    with factory.database.write() as tx:  # as if the stolen key had signed later
        tx.execute(sa.text("UPDATE certificate_keys SET revoked_at = :at WHERE id = :id").bindparams(
            at=rfc3339(factory.clock.at - timedelta(hours=2)), id=old.public.id))  # fmt: skip
    assert factory.problems(first) == ["revoked"]
    assert ("adele", "certificate.key-rotated") in factory.events()
    with pytest.raises(RightMissing):
        factory.keys.rotate(factory.call("paul"), "mine")


def test_a_late_clean_up_leaves_the_key_of_the_next_rotation(
    quick: Certifying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows a commit may be held up until somebody else has rotated again: the newest private key is still there."""
    late: list[Transaction] = []

    def hold_up(tx: Transaction) -> None:
        late.append(tx)

    with monkeypatch.context() as held:
        held.setattr(Transaction, "run_afterwards", hold_up)
        quick.keys.rotate(quick.call("adele"), "every year")
    newest = quick.keys.rotate(quick.call("adele"), "again")
    assert len(late) == 1
    late[0].run_afterwards()
    (file,) = (quick.folder / "keys").iterdir()
    assert file.name == f"certificates-{newest.public.id[:16]}.pem"
    assert quick.problems(quick.certified()) == []


def test_a_strict_look_believes_no_date_of_a_revoked_key(quick: Certifying) -> None:
    """Whoever has stolen it can write any moment into a statement; a certificate that the next key has signed is good again."""
    version = quick.certified()

    def strictly() -> list[str]:
        found = quick.certificates.verify(quick.call("vic"), version.name, strict=True)
        return [problem.code for problem in found.problems]

    assert strictly() == []
    quick.clock.at += timedelta(hours=1)
    quick.keys.rotate(quick.call("adele"), "it was stolen")
    assert (quick.problems(version), strictly()) == ([], ["revoked"])
    quick.clock.at += timedelta(seconds=1)
    quick.examined(version)
    assert (quick.problems(version), strictly()) == ([], [])


def test_a_key_that_the_settings_name_is_used_and_replaced_by_the_operator(quick: Certifying, tmp_path: Path) -> None:
    """Many machines share one file; whoever rotates has put another key there before."""
    file = tmp_path / "shared.pem"
    parts = {"database": quick.database, "journal": quick.journal, "clock": quick.clock, "folder": tmp_path / "none"}
    keys = Keys(given=file, **parts)  # type: ignore[arg-type]
    with pytest.raises(KeyUnavailable, match="cannot be read"):
        keys.listed()
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(file)], check=True)
    (first,) = keys.listed()
    with pytest.raises(KeyUnchanged):
        keys.rotate(quick.call("adele"), "too early")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(file)], check=True)
    old = file.read_bytes()
    quick.clock.at += timedelta(seconds=1)
    second = keys.rotate(quick.call("adele"), "it is time")
    assert [key.public.id for key in keys.listed() if key.revoked_at is None] == [second.public.id]
    assert not (tmp_path / "none").exists()
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(file)], check=True)
    keys.rotate(quick.call("adele"), "again")
    file.write_bytes(old)
    with pytest.raises(KeyRevoked):
        keys.listed()
    assert first.public.id != second.public.id


def test_a_lost_private_key_is_told_and_replaced(quick: Certifying) -> None:
    """Nothing is certified without one; a rotation makes the next."""
    quick.certified()
    for file in (quick.folder / "keys").iterdir():
        file.unlink()
    version = quick.register()
    with pytest.raises(KeyUnavailable, match="does not hold"):
        quick.examined(version)
    quick.clock.at += timedelta(seconds=1)
    quick.keys.rotate(quick.call("adele"), "the disk was lost")
    assert quick.certified() is not None


def test_a_person_signs_beside_the_factory(factory: Certifying) -> None:
    """With a key that was made known before; the signature is exported with the certificate, and says who stands for it."""
    version = factory.certified()
    key, key_id = keyed("sam", factory)
    call = factory.call("sam", idempotency_key="k", request_digest="d")
    sent = signature(key, factory, version)
    signed = factory.certificates.sign(call, version.name, **sent, reason="I have looked at it")
    assert factory.certificates.sign(call, version.name, **sent, reason="I have looked at it") == signed
    assert [one.keyid for one in signed.envelope.signatures][1] == key_id
    verified = factory.certificates.verify(factory.call("vic"), version.name)
    assert [one.owner for one in verified.signed_by] == ["", "sam"]
    assert [deed for deed in factory.events("churn:1") if deed[1] == "certificate.signed"] == [
        ("sam", "certificate.signed")
    ]
    theirs = SSlibKey(key_id, "ed25519", "ed25519", {"public": key.public.key.public_bytes_raw().hex()})
    assert set(TheirEnvelope.from_dict(json.loads(signed.envelope.encode())).verify([theirs], 1)) == {key_id}
    factory.keys.revoke(factory.call("sam"), key_id, "lost my laptop")
    assert factory.problems(version) == [], "the certificate is the factory's"
    with pytest.raises(KeyRevoked):
        factory.certificates.sign(factory.call("sam"), version.name, **sent, reason="again")
    with pytest.raises(KeyRevoked):
        factory.keys.revoke(factory.call("sam"), key_id, "twice")


def test_a_signature_that_is_not_ones_own_is_refused(quick: Certifying) -> None:
    """Of somebody else's key, of an unknown one, over something else, over an older certificate."""
    version = quick.certified()
    key, key_id = keyed("sam", quick)
    sent = signature(key, quick, version)

    def sign(by: str, **said: str) -> None:
        quick.certificates.sign(quick.call(by), version.name, **{**sent, **said}, reason="mine")

    with pytest.raises(NotYourKey):
        sign("ana")
    with pytest.raises(NotYourKey):
        sign("ana", key_id=quick.keys.listed()[0].public.id)
    with pytest.raises(KeyNotFound):
        sign("sam", key_id="0" * 64)
    with pytest.raises(RightMissing):
        sign("vic")
    for wrong in ("!", "", base64.b64encode(b"x" * 64).decode(), "ü"):
        with pytest.raises(SignatureRefused):
            sign("sam", sig=wrong)
    with pytest.raises(KeyKnown):
        quick.keys.add(quick.call("ana"), key.public.pem, "mine now")
    with pytest.raises(NotYourKey):
        quick.keys.revoke(quick.call("ana"), key_id, "not mine")
    quick.clock.at += timedelta(seconds=1)
    quick.examined(version)
    with pytest.raises(CertificateChanged):
        sign("sam")
    assert quick.keys.revoke(quick.call("adele"), key_id, "left the bank").revoked_by == "adele"


def test_an_accepted_version_is_renewed_once_before_its_end(factory: Certifying) -> None:
    """By the factory itself, whose examination gives the next certificate; what was said of the one before is over."""
    factory.adopt(STANDARD)
    version = factory.certified()
    factory.approvals.accept(factory.call("petra"), version.name, "good")
    factory.clock.at += timedelta(days=22, hours=23)
    factory.notices.look()
    assert factory.said() == []
    factory.clock.at += timedelta(hours=2)
    factory.notices.look()
    factory.notices.look()
    assert factory.said() == [NoticeKind.RENEWAL]
    assert factory.said(urgent_only=True) == []
    assert factory.examined(version, asked=False) is SessionState.PASSED
    assert factory.sessions.claim("e1", ["certification"]) is None, "it was asked for once"
    assert factory.said() == []
    certificate = factory.certification.certificate(factory.call("vic"), version.name)
    assert certificate is not None
    assert certificate.requested_by == "muster"
    assert certificate.expires == factory.clock.at + timedelta(days=30)
    assert factory.events("churn:1")[-3:] == [
        ("muster", "certification.requested"),
        ("muster", "certificate.renewal"),
        ("muster", "version.certified-again"),
    ]


def test_a_renewal_that_fails_is_told(quick: Certifying) -> None:
    """The version has changed its answers on a newer machine: somebody has to look, and is told once."""
    quick.adopt(STANDARD)
    version = quick.certified()
    quick.approvals.accept(quick.call("petra"), version.name, "good")
    quick.clock.at += timedelta(days=24)
    quick.notices.look()
    quick.bench.golden = False
    assert quick.examined(version, asked=False) is SessionState.FAILED
    for _ in range(2):
        quick.notices.look()
    assert sorted(quick.said()) == [NoticeKind.RENEWAL, NoticeKind.RENEWAL_FAILED]
    assert quick.said(urgent_only=True) == [NoticeKind.RENEWAL_FAILED]


def test_a_served_version_whose_certificate_ends_raises_one_notice(factory: Certifying) -> None:
    """It is served on; the notice is on record once, is counted, and is over with the next certificate."""
    factory.adopt(STANDARD.replace('renew = "7d"', ""))
    version, idle = factory.certified(), factory.certified(contract=CONTRACT)
    factory.approvals.accept(factory.call("petra"), version.name, "good")
    factory.approvals.accept(factory.call("petra"), idle.name, "good")
    front = ObedientFront(factory)
    front.poll()
    release = factory.live(factory.registry.version(factory.call("vic"), version.name), fronts=(front,))
    assert str(release.state) == "live"
    factory.notices.look()
    assert (factory.said(), factory.notices.lapsed) == ([], 0)
    factory.clock.at += timedelta(days=30)
    for _ in range(3):
        factory.notices.look()
    assert (factory.said(), factory.notices.lapsed) == ([NoticeKind.LAPSED], 1)
    (notice,) = factory.notices.notices(factory.call("vic"))
    assert (notice.version, "endpoint churn" in notice.told) == (VersionName("churn", 1), True)
    assert factory.events("churn:1").count(("muster", "certificate.lapsed")) == 1
    factory.examined(version)
    factory.notices.look()
    assert (factory.said(), factory.notices.lapsed) == ([], 0)


def served(factory: Certifying) -> Version:
    """A version that is accepted and in front."""
    version = factory.certified()
    factory.approvals.accept(factory.call("petra"), version.name, "good")
    front = ObedientFront(factory)
    front.poll()
    release = factory.live(factory.registry.version(factory.call("vic"), version.name), fronts=(front,))
    assert str(release.state) == "live"
    return version


def test_a_machine_that_builds_otherwise_has_what_is_served_examined_again(factory: Certifying) -> None:
    """Once, by the factory itself, where the standard lets certificates be renewed; the next certificate ends the notice."""
    factory.adopt(STANDARD)
    version = served(factory)
    factory.now = {str(version.name): digest_of(b"another")}
    for _ in range(2):
        factory.notices.look_at_environments()
    (notice,) = factory.notices.notices(factory.call("vic"))
    assert notice.kind is NoticeKind.ENVIRONMENT_CHANGED
    assert notice.told.endswith("the version is examined again")
    factory.clock.at += timedelta(minutes=1)
    assert factory.examined(version, asked=False) is SessionState.PASSED
    assert factory.sessions.claim("e1", ["certification"]) is None, "it was asked for once"
    assert factory.said() == []


def test_an_examination_for_a_changed_machine_that_fails_is_told(factory: Certifying) -> None:
    """Somebody has to look: the version does not stand what this machine would build."""
    factory.adopt(STANDARD)
    version = served(factory)
    factory.now = {str(version.name): digest_of(b"another")}
    factory.notices.look_at_environments()
    factory.bench.golden = False
    assert factory.examined(version, asked=False) is SessionState.FAILED
    for _ in range(2):
        factory.notices.look()
    assert sorted(factory.said()) == [NoticeKind.ENVIRONMENT_CHANGED, NoticeKind.RENEWAL_FAILED]


def test_a_machine_that_builds_otherwise_raises_one_notice(quick: Certifying) -> None:
    """Its interpreter is another by now: the certificate names an environment that nobody would build any more."""
    quick.adopt(STANDARD)
    version = quick.certified()
    quick.approvals.accept(quick.call("petra"), version.name, "good")
    front = ObedientFront(quick)
    front.poll()
    quick.live(quick.registry.version(quick.call("vic"), version.name), fronts=(front,))
    quick.notices.look_at_environments()
    assert quick.said() == []
    quick.now["churn:1"] = digest_of(b"another interpreter")
    for _ in range(2):
        quick.notices.look_at_environments()
    assert quick.said() == [NoticeKind.ENVIRONMENT_CHANGED]
    assert quick.events("churn:1").count(("muster", "certificate.environment-changed")) == 1
