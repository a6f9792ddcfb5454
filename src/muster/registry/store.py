"""All statements about models and versions."""

import json
from collections.abc import Collection
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa

from muster.registry.records import Held, Model, ModelFacts, ModelSummary, Version
from muster.registry.rules import PackageRules
from muster.registry.tables import models, package_rules, versions
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState
from muster.wire.contracts import Contract

_NAMES = msgspec.json.Decoder(tuple[str, ...])
_TAGS = msgspec.json.Decoder(dict[str, str])
#: A model's columns, under names that no column of a version has.
_NAMED_APART = tuple(column.label(f"model_{column.name}") for column in models.columns)
_VERSION_COLUMNS = tuple(versions.columns)
#: A version, with who answers for its model at present.
_SELECTED = sa.select(
    *_VERSION_COLUMNS, models.c.owner.label("model_owner"), models.c.deputy.label("model_deputy")
).join(models, sa.and_(models.c.project == versions.c.project, models.c.name == versions.c.model))
_NAMED_BY_POSTGRESQL = """
    SELECT value ->> 0 AS project, value ->> 1 AS model, CAST(value ->> 2 AS INTEGER) AS number
    FROM json_array_elements(CAST(:told AS json))
"""
_NAMED_BY_SQLITE = """
    SELECT json_extract(value, '$[0]') AS project, json_extract(value, '$[1]') AS model, json_extract(value, '$[2]') AS number
    FROM json_each(:told)
"""
#: Names of versions that are handed over as one text, by whether PostgreSQL reads it.
_NAMED = {
    is_postgresql: sa.text(text)
    .columns(sa.column("project", sa.String), sa.column("model", sa.String), sa.column("number", sa.Integer))
    .subquery("named")
    for is_postgresql, text in ((True, _NAMED_BY_POSTGRESQL), (False, _NAMED_BY_SQLITE))
}
_IS_NAMED = {
    is_postgresql: sa.and_(*(versions.c[name] == named.c[name] for name in ("project", "model", "number")))
    for is_postgresql, named in _NAMED.items()
}


def models_of(
    tx: Transaction, project: str, *, limit: int | None = None, after: str | None = None
) -> tuple[ModelSummary, ...]:
    """The models of a project with their newest versions, by name: so many behind a name, or all."""
    counted, newest = versions.alias(), versions.alias()
    total = sa.select(sa.func.count()).where(*_of_model(counted)).scalar_subquery()
    highest = sa.select(sa.func.max(newest.c.number)).where(*_of_model(newest)).scalar_subquery()
    asked = (
        sa.select(*_NAMED_APART, total.label("total"), *_VERSION_COLUMNS)
        .select_from(models.outerjoin(versions, sa.and_(*_of_model(versions), versions.c.number == highest)))
        .where(models.c.project == project)
        .order_by(models.c.name)
        .limit(limit)
    )
    if after is not None:
        asked = asked.where(models.c.name > after)
    return tuple(
        ModelSummary(
            name=row.model_name,
            project=project,
            created_by=row.model_created_by,
            created_at=from_rfc3339(row.model_created_at),
            facts=_facts(row),
            versions=row.total,
            latest=None if row.number is None else _version(row),
        )
        for row in tx.execute(asked)
    )


def model(
    tx: Transaction, project: str, name: str, *, limit: int | None = None, after: int | None = None
) -> Model | None:
    """A model and its versions, the newest first: so many below a number, or all."""
    row = tx.execute(sa.select(*_NAMED_APART).where(models.c.project == project, models.c.name == name)).first()
    if row is None:
        return None
    return Model(
        name=name,
        project=project,
        created_by=row.model_created_by,
        created_at=from_rfc3339(row.model_created_at),
        facts=_facts(row),
        versions=versions_of(tx, project, name, limit=limit, after=after),
    )


def has_model(tx: Transaction, project: str, name: str) -> bool:
    """Whether the project has the model."""
    asked = sa.select(models.c.name).where(models.c.project == project, models.c.name == name)
    return tx.execute(asked).first() is not None


def add_model(tx: Transaction, project: str, name: str, by: str, at: str) -> None:
    """Add a model, owned by who made it; its name must be free in the project."""
    tx.execute(sa.insert(models).values(project=project, name=name, created_by=by, created_at=at, owner=by))


def set_facts(tx: Transaction, project: str, name: str, facts: ModelFacts) -> None:
    """Keep what a model carries from now on."""
    tx.execute(
        sa.update(models)
        .where(models.c.project == project, models.c.name == name)
        .values(
            owner=facts.owner,
            deputy=facts.deputy,
            description=facts.description,
            business_metric=facts.business_metric,
            tags=json.dumps(dict(facts.tags)),
        )
    )


def owners_of(tx: Transaction, project: str, names: Collection[str]) -> dict[str, str]:
    """Who owns each of the named models."""
    asked = sa.select(models.c.name, models.c.owner).where(models.c.project == project, models.c.name.in_(set(names)))
    return {row.name: row.owner for row in tx.execute(asked)}


def versions_of(
    tx: Transaction, project: str, name: str, *, limit: int | None = None, after: int | None = None
) -> tuple[Version, ...]:
    """The versions of a model, the newest first: so many below a number, or all."""
    asked = _SELECTED.where(versions.c.project == project, versions.c.model == name)
    if after is not None:
        asked = asked.where(versions.c.number < after)
    return tuple(_version(row) for row in tx.execute(asked.order_by(versions.c.number.desc()).limit(limit)))


def versions_named(tx: Transaction, project: str, names: Collection[VersionName]) -> tuple[Version, ...]:
    """Those of the named versions that there are, in no order."""
    if not names:
        return ()
    # Handed over as one text, so that the statement is the same for any number; and the project with each, as SQLite would otherwise
    # begin with every version of the project.
    told = json.dumps([[project, name.model, name.number] for name in names])
    rows = tx.execute(_SELECTED.join(_NAMED[tx.is_postgresql], _IS_NAMED[tx.is_postgresql]), {"told": told})
    return tuple(_version(row) for row in rows)


def newest_of(tx: Transaction, project: str, names: Collection[str]) -> dict[str, VersionName]:
    """The name of each model's newest version."""
    asked = (
        sa.select(versions.c.model, sa.func.max(versions.c.number).label("number"))
        .where(versions.c.project == project, versions.c.model.in_(set(names)))
        .group_by(versions.c.model)
    )
    return {row.model: VersionName(row.model, row.number) for row in tx.execute(asked)}


def versions_with_digests(tx: Transaction, project: str, digests: Collection[Digest]) -> tuple[Version, ...]:
    """The versions that these bytes are, in no order."""
    if not digests:
        return ()
    asked = _SELECTED.where(versions.c.project == project, versions.c.digest.in_(set(digests)))
    return tuple(_version(row) for row in tx.execute(asked))


def version(tx: Transaction, project: str, name: VersionName) -> Version | None:
    """One version."""
    asked = _SELECTED.where(
        versions.c.project == project, versions.c.model == name.model, versions.c.number == name.number
    )
    row = tx.execute(asked).first()
    return row and _version(row)


def version_with_digest(tx: Transaction, project: str, digest: Digest) -> Version | None:
    """The version that these bytes are."""
    row = tx.execute(_SELECTED.where(versions.c.project == project, versions.c.digest == digest)).first()
    return row and _version(row)


def held_by(tx: Transaction, project: str) -> Held:
    """How many versions a project has, and how many bytes they are."""
    asked = sa.select(sa.func.count().label("versions"), sa.func.sum(versions.c.size).label("size"))
    row = tx.execute(asked.where(versions.c.project == project)).one()
    return Held(versions=row.versions, bytes=int(row.size or 0))


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
    told = json.dumps([[project, name.model, name.number] for name in names])
    asked = sa.select(versions.c.model, versions.c.number).join(_NAMED[tx.is_postgresql], _IS_NAMED[tx.is_postgresql])
    rows = tx.execute(asked.where(versions.c.state == str(state)), {"told": told})
    return {VersionName(row.model, row.number) for row in rows}


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


def _of_model(table: Any) -> tuple[sa.ColumnElement[bool], ...]:
    """That a version is one of the model of the row around it."""
    return table.c.project == models.c.project, table.c.model == models.c.name


def _version(row: sa.Row[Any]) -> Version:
    return Version(
        name=VersionName(row.model, row.number),
        project=row.project,
        digest=Digest(row.digest),
        state=VersionState(row.state),
        registered_by=row.registered_by,
        registered_at=from_rfc3339(row.registered_at),
        description=row.description,
        owners=_NAMES.decode(row.owners),
        authors=_NAMES.decode(row.authors),
        tags=_TAGS.decode(row.tags),
        contract=_contract(row.contract),
        contract_digest=Digest(row.contract_digest),
        lock_digest=Digest(row.lock_digest),
        python=row.python,
        files=row.files,
        size=row.size,
        stewards=tuple(name for name in (row.model_owner, row.model_deputy) if name),
    )


@lru_cache(maxsize=256)
def _contract(text: str) -> Contract:
    """Most versions of a model have the same contract, and lists hold many of them."""
    return msgspec.json.decode(text, type=Contract)


def _facts(row: sa.Row[Any]) -> ModelFacts:
    return ModelFacts(
        owner=row.model_owner,
        deputy=row.model_deputy,
        description=row.model_description,
        business_metric=row.model_business_metric,
        tags=_TAGS.decode(row.model_tags),
    )
