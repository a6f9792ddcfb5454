"""All statements about data sources and profiles."""

from typing import Any

import sqlalchemy as sa

from muster.storage.transaction import Transaction
from muster.training.records import Kept, Source
from muster.training.tables import data_sources, version_profiles
from muster.vocabulary.clock import from_rfc3339, rfc3339
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName


def sources(tx: Transaction, project: str) -> tuple[Source, ...]:
    """The sources of a project, by name."""
    asked = sa.select(data_sources).where(data_sources.c.project == project).order_by(data_sources.c.name)
    return tuple(_source(row) for row in tx.execute(asked).mappings())


def source(tx: Transaction, project: str, name: str) -> Source | None:
    """The source of that name."""
    asked = sa.select(data_sources).where(data_sources.c.project == project, data_sources.c.name == name)
    row = tx.execute(asked).mappings().first()
    return None if row is None else _source(row)


def add_source(tx: Transaction, made: Source) -> None:
    """Keep a source that is not there."""
    tx.execute(
        sa.insert(data_sources).values(
            project=made.project,
            name=made.name,
            uri=made.uri,
            added_by=made.added_by,
            added_at=rfc3339(made.added_at),
            reason=made.reason,
        )
    )


def remove_source(tx: Transaction, project: str, name: str) -> None:
    """Forget a source."""
    tx.execute(sa.delete(data_sources).where(data_sources.c.project == project, data_sources.c.name == name))


def keep(tx: Transaction, kept: Kept) -> None:
    """Note where the profile of a version lies."""
    tx.execute(
        sa.insert(version_profiles).values(
            session=kept.session,
            project=kept.project,
            model=kept.version.model,
            number=kept.version.number,
            digest=kept.digest,
            data=kept.data,
            data_digest=kept.data_digest,
            at=rfc3339(kept.at),
        )
    )


def kept(tx: Transaction, project: str, name: VersionName) -> Kept | None:
    """The newest profile of a version."""
    columns = version_profiles.c
    asked = (
        sa.select(version_profiles)
        .where(columns.project == project, columns.model == name.model, columns.number == name.number)
        .order_by(columns.at.desc(), columns.session.desc())
        .limit(1)
    )
    row = tx.execute(asked).mappings().first()
    if row is None:
        return None
    return Kept(
        version=VersionName(row["model"], row["number"]),
        project=row["project"],
        digest=Digest(row["digest"]),
        data=row["data"],
        data_digest=row["data_digest"],
        session=row["session"],
        at=from_rfc3339(row["at"]),
    )


def _source(row: Any) -> Source:
    return Source(
        project=row["project"],
        name=row["name"],
        uri=row["uri"],
        added_by=row["added_by"],
        added_at=from_rfc3339(row["added_at"]),
        reason=row["reason"],
    )
