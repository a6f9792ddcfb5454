"""All statements about certificates, seals and twins."""

import json
from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from muster.certification.evaluated import KeptTable, SessionTable
from muster.certification.records import Certificate, Check, StandardNamed
from muster.certification.tables import certificates, seals, session_tables, twins
from muster.certification.twinned import Twin, Twinned
from muster.environments.sealing import Sealed
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState

#: Kind and place of what a session shows of single rows of a sealed set, beside the tables that curves are derived from.
_EXHIBITS = "exhibits"
#: Of the registry's table, which this room does not import, what has to be known of a version.
_VERSIONS = sa.table("versions", sa.column("project"), sa.column("model"), sa.column("number"), sa.column("state"))


def add(tx: Transaction, certificate: Certificate) -> None:
    """Keep a certificate."""
    tx.execute(
        sa.insert(certificates).values(
            session=certificate.session,
            project=certificate.project,
            model=certificate.version.model,
            number=certificate.version.number,
            digest=certificate.digest,
            environment=certificate.environment,
            hardware=certificate.hardware,
            checks=json.dumps([asdict(check) for check in certificate.checks]),
            requested_by=certificate.requested_by,
            at=rfc3339(certificate.at),
            seal=certificate.seal,
            twin=certificate.twin,
            evidence=certificate.evidence,
            standard=None if certificate.standard is None else json.dumps(asdict(certificate.standard)),
            expires_at=None if certificate.expires is None else rfc3339(certificate.expires),
            renew_at=None if certificate.renew_at is None else rfc3339(certificate.renew_at),
            envelope=None if certificate.envelope is None else certificate.envelope.decode(),
        )
    )


def certificates_of(tx: Transaction, project: str, version: VersionName) -> tuple[Certificate, ...]:
    """The certificates of a version, the newest first."""
    asked = sa.select(certificates).where(
        certificates.c.project == project,
        certificates.c.model == version.model,
        certificates.c.number == version.number,
    )
    rows = tx.execute(asked.order_by(certificates.c.at.desc(), certificates.c.session))
    return tuple(_certificate(row) for row in rows)


def newest_of_all(tx: Transaction, states: Collection[VersionState]) -> tuple[Certificate, ...]:
    """The newest certificate of every version of the factory that is in one of these states, and has one."""
    later = certificates.alias()
    same = [certificates.c[name] == later.c[name] for name in ("project", "model", "number")]
    is_later = sa.or_(
        later.c.at > certificates.c.at,
        sa.and_(later.c.at == certificates.c.at, later.c.session < certificates.c.session),
    )
    version = sa.and_(*(certificates.c[name] == _VERSIONS.c[name] for name in ("project", "model", "number")))
    asked = (
        sa.select(certificates)
        .join(_VERSIONS, version)
        .where(_VERSIONS.c.state.in_([*map(str, states)]), ~sa.exists().where(*same, is_later))
        .order_by(certificates.c.project, certificates.c.model, certificates.c.number)
    )
    return tuple(_certificate(row) for row in tx.execute(asked))


def environments_in_use(tx: Transaction, ended: Collection[VersionState]) -> frozenset[Digest]:
    """Every environment that a certificate or a twin names, of versions that have not come to their end.

    Args:
        tx: transaction.
        ended: states of versions whose environments nobody needs at hand; they are rebuilt from their seals.
    """
    found: set[Digest] = set()
    for table in (certificates, twins):
        same = sa.and_(*(table.c[name] == _VERSIONS.c[name] for name in ("project", "model", "number")))
        asked = sa.select(table.c.environment).join(_VERSIONS, same).where(_VERSIONS.c.state.not_in([*map(str, ended)]))
        found |= {Digest(row.environment) for row in tx.execute(asked)}
    return frozenset(found)


def add_seal(tx: Transaction, sealed: Sealed, at: datetime) -> None:
    """Keep which seal an environment has; one that is sealed anew has its newest."""
    seal = sealed.seal
    values = {"seal": sealed.digest, "kind": seal.kind, "bytes": seal.bytes, "at": rfc3339(at)}
    known = tx.execute(sa.select(seals.c.seal).where(seals.c.environment == seal.environment)).scalar()
    if known is None:
        tx.execute(sa.insert(seals).values(environment=seal.environment, **values))
    elif known != sealed.digest:
        tx.execute(sa.update(seals).where(seals.c.environment == seal.environment).values(**values))


def seal_of(tx: Transaction, environment: Digest) -> Digest | None:
    """The digest of an environment's seal; None: it has none."""
    found = tx.execute(sa.select(seals.c.seal).where(seals.c.environment == environment)).scalar()
    return None if found is None else Digest(found)


def add_twin(tx: Transaction, twin: Twin) -> None:
    """Keep a twin; the same one, made again, has the newest comparison."""
    key = {
        "project": twin.project,
        "model": twin.version.model,
        "number": twin.version.number,
        "manifest": twin.twinned.manifest,
    }
    tx.execute(sa.delete(twins).where(*(twins.c[name] == value for name, value in key.items())))
    tx.execute(
        sa.insert(twins).values(
            **key,
            environment=twin.twinned.environment,
            session=twin.session,
            rows=twin.twinned.rows,
            flips=twin.twinned.flips,
            largest=repr(twin.twinned.largest),
            tolerance=twin.twinned.tolerance,
            at=rfc3339(twin.at),
        )
    )


def twins_of(tx: Transaction, project: str, version: VersionName) -> tuple[Twin, ...]:
    """The twins of a version, the newest first."""
    asked = sa.select(twins).where(
        twins.c.project == project, twins.c.model == version.model, twins.c.number == version.number
    )
    return tuple(_twin(row) for row in tx.execute(asked.order_by(twins.c.at.desc(), twins.c.manifest)))


def add_tables(
    tx: Transaction, session: str, project: str, version: VersionName, tables: Collection[KeptTable]
) -> None:
    """Keep which tables a session computed."""
    for one in tables:
        tx.execute(
            sa.insert(session_tables).values(
                session=session,
                computed_over=one.over,
                slice=one.slice,
                part=one.part,
                kind=one.kind,
                project=project,
                model=version.model,
                number=version.number,
                digest=one.digest,
            )
        )


def add_sealed_exhibits(tx: Transaction, session: str, project: str, version: VersionName, digest: Digest) -> None:
    """Keep under which digest the store has what a session shows of single rows of a sealed set."""
    add_tables(
        tx, session, project, version, (KeptTable(over=_EXHIBITS, slice="", part="", kind=_EXHIBITS, digest=digest),)
    )


def sealed_exhibits(tx: Transaction, project: str, session: str) -> Digest | None:
    """Under which digest the store has them; None: the session shows none. Nobody outside may be told the digest."""
    table = session_tables
    asked = sa.select(table.c.digest).where(
        table.c.session == session, table.c.project == project, table.c.kind == _EXHIBITS
    )
    found = tx.execute(asked).scalar()
    return None if found is None else Digest(found)


def tables_of_session(tx: Transaction, project: str, session: str) -> tuple[SessionTable, ...]:
    """The tables that a session computed: of the whole first."""
    table = session_tables
    asked = (
        sa.select(table)
        .where(table.c.session == session, table.c.project == project, table.c.kind != _EXHIBITS)
        .order_by(table.c.computed_over, table.c.slice, table.c.part)
    )
    return tuple(
        SessionTable(
            session=row.session,
            project=row.project,
            model=row.model,
            number=row.number,
            table=KeptTable(
                over=row.computed_over, slice=row.slice, part=row.part, kind=row.kind, digest=Digest(row.digest)
            ),
        )
        for row in tx.execute(asked)
    )


def _twin(row: sa.Row[Any]) -> Twin:
    twinned = Twinned(
        manifest=Digest(row.manifest),
        environment=Digest(row.environment),
        sealed=None,
        rows=row.rows,
        flips=row.flips,
        largest=float(row.largest),
        tolerance=row.tolerance,
    )
    return Twin(
        version=VersionName(row.model, row.number),
        project=row.project,
        session=row.session,
        twinned=twinned,
        at=from_rfc3339(row.at),
    )


def _certificate(row: sa.Row[Any]) -> Certificate:
    return Certificate(
        session=row.session,
        version=VersionName(row.model, row.number),
        project=row.project,
        digest=Digest(row.digest),
        environment=Digest(row.environment),
        hardware=row.hardware,
        checks=tuple(Check(**check) for check in json.loads(row.checks)),
        requested_by=row.requested_by,
        at=from_rfc3339(row.at),
        seal=None if row.seal is None else Digest(row.seal),
        twin=None if row.twin is None else Digest(row.twin),
        evidence=None if row.evidence is None else Digest(row.evidence),
        standard=None if row.standard is None else StandardNamed(**json.loads(row.standard)),
        expires=None if row.expires_at is None else from_rfc3339(row.expires_at),
        renew_at=None if row.renew_at is None else from_rfc3339(row.renew_at),
        envelope=None if row.envelope is None else row.envelope.encode(),
    )
