"""All statements about models and versions."""

import json
from collections.abc import Collection
from typing import Any

import msgspec
import sqlalchemy as sa

from muster.registry.records import Model, ModelSummary, Version
from muster.registry.rules import PackageRules
from muster.registry.tables import models, package_rules, versions
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState
from muster.wire.contracts import Contract


def models_of(tx: Transaction, project: str) -> tuple[ModelSummary, ...]:
    """The models of a project with their newest versions, by name."""
    counts = (
        sa.select(versions.c.model, sa.func.count().label("total"), sa.func.max(versions.c.number).label("newest"))
        .where(versions.c.project == project)
        .group_by(versions.c.model)
        .subquery()
    )
    asked = (
        sa.select(models, counts.c.total, counts.c.newest)
        .outerjoin(counts, counts.c.model == models.c.name)
        .where(models.c.project == project)
        .order_by(models.c.name)
    )
    rows = tx.execute(asked).all()
    newest_of = sa.and_(counts.c.model == versions.c.model, counts.c.newest == versions.c.number)
    newest = tx.execute(sa.select(versions).join(counts, newest_of).where(versions.c.project == project))
    latest = {row.model: _version(row) for row in newest}
    return tuple(
        ModelSummary(
            name=row.name,
            project=row.project,
            created_by=row.created_by,
            created_at=from_rfc3339(row.created_at),
            versions=row.total or 0,
            latest=latest.get(row.name),
        )
        for row in rows
    )


def model(tx: Transaction, project: str, name: str) -> Model | None:
    """A model and its versions, the newest first."""
    row = tx.execute(sa.select(models).where(models.c.project == project, models.c.name == name)).first()
    if row is None:
        return None
    return Model(
        name=row.name,
        project=row.project,
        created_by=row.created_by,
        created_at=from_rfc3339(row.created_at),
        versions=versions_of(tx, project, name),
    )


def has_model(tx: Transaction, project: str, name: str) -> bool:
    """Whether the project has the model."""
    asked = sa.select(models.c.name).where(models.c.project == project, models.c.name == name)
    return tx.execute(asked).first() is not None


def add_model(tx: Transaction, project: str, name: str, by: str, at: str) -> None:
    """Add a model; its name must be free in the project."""
    tx.execute(sa.insert(models).values(project=project, name=name, created_by=by, created_at=at))


def versions_of(tx: Transaction, project: str, name: str) -> tuple[Version, ...]:
    """The versions of a model, the newest first."""
    asked = sa.select(versions).where(versions.c.project == project, versions.c.model == name)
    return tuple(_version(row) for row in tx.execute(asked.order_by(versions.c.number.desc())))


def version(tx: Transaction, project: str, name: VersionName) -> Version | None:
    """One version."""
    asked = sa.select(versions).where(
        versions.c.project == project, versions.c.model == name.model, versions.c.number == name.number
    )
    row = tx.execute(asked).first()
    return row and _version(row)


def version_with_digest(tx: Transaction, project: str, digest: Digest) -> Version | None:
    """The version that these bytes are."""
    row = tx.execute(sa.select(versions).where(versions.c.project == project, versions.c.digest == digest)).first()
    return row and _version(row)


def next_number(tx: Transaction, project: str, name: str) -> int:
    """The number of the model's next version; versions are never removed, so numbers are never used again."""
    highest = sa.select(sa.func.max(versions.c.number)).where(versions.c.project == project, versions.c.model == name)
    return (tx.execute(highest).scalar() or 0) + 1


def add_version(tx: Transaction, added: Version) -> None:
    """Keep a new version; its number must be free."""
    tx.execute(
        sa.insert(versions).values(
            project=added.project,
            model=added.model,
            number=added.number,
            digest=added.digest,
            state=str(added.state),
            registered_by=added.registered_by,
            registered_at=rfc3339(added.registered_at),
            description=added.description,
            owners=json.dumps(added.owners),
            authors=json.dumps(added.authors),
            tags=json.dumps(added.tags),
            contract=msgspec.json.encode(added.contract).decode(),
            contract_digest=added.contract_digest,
            lock_digest=added.lock_digest,
            python=added.python,
            files=added.files,
            size=added.size,
        )
    )


def set_state(tx: Transaction, held: Version, to: VersionState) -> None:
    """Put a version into a state; the service has looked that it may."""
    tx.execute(
        sa.update(versions)
        .where(versions.c.project == held.project, versions.c.model == held.model, versions.c.number == held.number)
        .values(state=str(to))
    )


def names_in_state(
    tx: Transaction, project: str, names: Collection[VersionName], state: VersionState
) -> set[VersionName]:
    """Those of the named versions that are in a state."""
    asked = sa.select(versions.c.model, versions.c.number).where(
        versions.c.project == project,
        versions.c.state == str(state),
        versions.c.model.in_({name.model for name in names}),
    )
    return {VersionName(row.model, row.number) for row in tx.execute(asked)} & set(names)


def package_rules_of(tx: Transaction, project: str) -> PackageRules | None:
    """What a project says about packages; None: nothing yet."""
    row = tx.execute(sa.select(package_rules).where(package_rules.c.project == project)).first()
    if row is None:
        return None
    return PackageRules(text=json.loads(row.rules)["toml"], set_by=row.set_by, set_at=from_rfc3339(row.at))


def set_package_rules(tx: Transaction, project: str, rules: PackageRules) -> None:
    """Keep what a project says about packages, in place of what it said before."""
    assert rules.set_by is not None
    assert rules.set_at is not None
    tx.execute(sa.delete(package_rules).where(package_rules.c.project == project))
    tx.execute(
        sa.insert(package_rules).values(
            project=project,
            rules=json.dumps({"toml": rules.text}),
            set_by=rules.set_by,
            at=rfc3339(rules.set_at),
        )
    )


def _version(row: sa.Row[Any]) -> Version:
    return Version(
        name=VersionName(row.model, row.number),
        project=row.project,
        digest=Digest(row.digest),
        state=VersionState(row.state),
        registered_by=row.registered_by,
        registered_at=from_rfc3339(row.registered_at),
        description=row.description,
        owners=tuple(json.loads(row.owners)),
        authors=tuple(json.loads(row.authors)),
        tags=json.loads(row.tags),
        contract=msgspec.json.decode(row.contract, type=Contract),
        contract_digest=Digest(row.contract_digest),
        lock_digest=Digest(row.lock_digest),
        python=row.python,
        files=row.files,
        size=row.size,
    )
