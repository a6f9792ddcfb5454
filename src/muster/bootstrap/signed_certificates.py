"""Joins the room that signs and watches certificates with what it is told from above: the home's key, what is live, this machine."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from muster.audit.journal import Journal
from muster.blobs.protocol import Blobs
from muster.bootstrap.home import Home
from muster.certificates.keys import Keys
from muster.certificates.notices import Notices, Served
from muster.certificates.service import Certificates, EnvironmentNow, tolerant
from muster.certification.service import Certification
from muster.environments.shelf import Shelf
from muster.packaging.bundle import read_bundle
from muster.packaging.sealed import materialise
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release import store as releases
from muster.sessions.service import Sessions
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.digests import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCertificates:
    """What is done with certificates once they are given."""

    certificates: Certificates
    notices: Notices


def keys_of(home: Home, database: Database, journal: Journal, clock: Clock) -> Keys:
    """The keys of a home."""
    return Keys(
        database=database,
        journal=journal,
        clock=clock,
        folder=home.keys,
        given=given_key(home),
    )


def given_key(home: Home) -> Path | None:
    """The file with the key that the operator brings; None: Muster makes its own."""
    given = home.settings.certification.signing_key
    return home.path / given if given else None


def signed_certificates_of(
    *,
    database: Database,
    journal: Journal,
    certification: Certification,
    registry: Registry,
    sessions: Sessions,
    keys: Keys,
    environment_now: EnvironmentNow,
    clock: Clock,
) -> SignedCertificates:
    """The services over a factory's certificates."""
    return SignedCertificates(
        certificates=Certificates(
            database=database,
            journal=journal,
            certification=certification,
            registry=registry,
            keys=keys,
            environment_now=environment_now,
            clock=clock,
        ),
        notices=Notices(
            database=database,
            journal=journal,
            certification=certification,
            registry=registry,
            sessions=sessions,
            live=live_versions,
            environment_now=environment_now,
            clock=clock,
        ),
    )


def live_versions(tx: Transaction) -> Iterable[Served]:
    """Every version in a current release of the factory."""
    return (Served(project=project, version=version, endpoint=name) for project, version, name in releases.served(tx))


def environment_here(environments: Shelf, blobs: Blobs, bundles: Path) -> EnvironmentNow:
    """What tells which environment this machine would build of a version."""

    def now(version: Version) -> Digest | None:
        folder = materialise(version.digest, blobs, bundles)
        return environments.identity(folder, read_bundle(folder))

    return tolerant(now)
