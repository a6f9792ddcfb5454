"""Fills a factory's database with a registry of any size, as the services would have and past them.

Rows come in bulk, and the audit chain is a valid one: `muster audit verify` finds nothing wrong with it.
"""

import hashlib
import io
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from muster.access.tables import custom_roles, grants, group_grants, group_members, groups, tokens, users
from muster.audit import store as audit_store
from muster.audit.entries import AUDIT_FORMAT, BEGINNING, Entry, hash_of
from muster.audit.head import HeadFile
from muster.audit.tables import audit_events
from muster.blobs.local import LocalBlobs
from muster.catalogue import store as catalogue_store
from muster.catalogue.records import SHOWN_CHARACTERS, EndpointState, Kind
from muster.catalogue.records import Entry as CatalogueEntry
from muster.catalogue.tables import catalogue_entries, catalogue_facts, catalogue_figures
from muster.certification.tables import certificates
from muster.packaging.contract import contract_digest
from muster.packaging.manifest import FileEntry, Manifest
from muster.registry.facts import Told, model_entry, version_entry
from muster.registry.records import Model, ModelFacts, Version
from muster.registry.tables import models, versions
from muster.release.tables import endpoints, pointers, release_versions, releases
from muster.serving.plan import plan_digest
from muster.sessions.tables import sessions
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import rfc3339
from muster.vocabulary.digests import digest_of
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import Role, VersionState
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster.wire.plans import FirstPolicy, PlannedVariant, ServingPlan

PROJECT = "default"
PEOPLE = tuple(f"person-{number}" for number in range(60))
TEAMS = ("risk", "sales", "fraud", "pricing", "service", "treasury", "rare")
AREAS = ("retail", "corporate", "insurance", "cards")
SEASONS = ("spring", "summer", "autumn", "winter")
#: Words of notes; the first ones stand in nearly every note, the last ones in very few.
_WORDS = """
    model churn customers trained again with newer data features calibrated better recall threshold drift corrected missing values
    currency converted region segment portfolio branch loans deposits interest quarter backtest champion stable documented reviewed
    outliers winsorised gradient boosting logistic regression forest tuned seed audit remark finding committee minutes escalation
    covenant collateral basel impairment provisioning syndicated derivative hedging sanctions embargo whistleblower
"""
WORDS = tuple(_WORDS.split())
CONTRACT = Contract(
    inputs=(
        Field("tenure", Datatype.FP64),
        Field("plan", Datatype.BYTES),
        Field("balance", Datatype.FP64, nullable=True),
    ),
    outputs=(Field("score", Datatype.FP64),),
)
_STATES = (
    (VersionState.RETIRED, 50),
    (VersionState.ACCEPTED, 20),
    (VersionState.CERTIFIED, 10),
    (VersionState.REGISTERED, 18),
    (VersionState.BANNED, 2),
)
_RUNTIME = {
    "kind": "python",
    "python": "3.11.7",
    "serializer": "cloudpickle",
    "model": "model/model.cloudpickle",
    "method": "predict",
    "input": "columns",
    "dtypes": {"tenure": "float64", "plan": "str", "balance": "float64"},
}
#: A twentieth of them in groups, each with a token.
_USERS = 2000
_GROUPS = 20
_BEGINS = datetime(2024, 1, 1, tzinfo=UTC)
_FILES_OF_EVERY = 250  # versions of which one has its manifest in the store, to be shown
_AT_ONCE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much there shall be."""

    models: int
    versions: int
    endpoints: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """What there is to ask about."""

    models: tuple[str, ...]
    largest: str
    """The model with the most versions."""
    versions: tuple[Version, ...]
    shown: tuple[Version, ...]
    """Those whose manifests are in the store."""
    endpoints: tuple[str, ...]
    busiest: str
    """The endpoint with the most releases."""
    figures: Mapping[VersionName, float]
    """The AUC of each."""
    users: tuple[str, ...]
    """Names of those whom the project has beside its admin."""


def seed(database: Database, home: Path, sizes: Sizes) -> Seeded:
    """Fill a new factory.

    Args:
        database: of the factory, migrated, with its first users.
        home: of the factory.
        sizes: how much.
    """
    chance = random.Random(6)
    made = _versions(sizes, chance)
    figures = {version.name: round(0.5 + 0.5 * chance.betavariate(5, 2), 6) for version in made}
    texts = {version.name: _text(chance) for version in made}
    shown = tuple(made[::_FILES_OF_EVERY] or made[:1])
    blobs = LocalBlobs(home / "store")
    for version in shown:
        blobs.put(io.BytesIO(_manifest(version).content))
    named = _models(sizes, made, chance)
    with database.write() as tx:
        bulk(tx, models, (_model_row(model) for model in named))
        bulk(tx, versions, (_version_row(version) for version in made))
        _certify(tx, made)
        ends = _endpoints(tx, sizes, made, chance)
        _catalogue(tx, named, made, figures, texts, ends)
        last = _audit(tx, sizes, made, chance)
        members = _people(tx, chance)
    HeadFile(home / "audit" / "head.jsonl").write(last)
    _analyse(database)
    counted = {model.name: 0 for model in named}
    for version in made:
        counted[version.model] += 1
    return Seeded(
        models=tuple(sorted(counted)),
        largest=max(counted, key=lambda name: counted[name]),
        versions=made,
        shown=shown,
        endpoints=tuple(name for name, _ in ends),
        busiest=ends[0][0],
        figures=figures,
        users=members,
    )


def bulk(tx: Transaction, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows as quickly as the database takes them: PostgreSQL by COPY."""
    columns = [column.name for column in table.columns]
    if not tx.is_postgresql:
        iterator = iter(rows)
        while some := list(islice(iterator, _AT_ONCE)):
            tx.execute(sa.insert(table), [{name: row.get(name) for name in columns} for row in some])
        return
    names = ", ".join(f'"{name}"' for name in columns)
    copy_rows(tx, f"COPY {table.name} ({names}) FROM STDIN", ([row.get(name) for name in columns] for row in rows))


def copy_rows(tx: Transaction, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    """PostgreSQL's COPY, in its text form."""
    cursor = tx.connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
    iterator = iter(rows)
    while some := list(islice(iterator, 20 * _AT_ONCE)):
        text = "".join("\t".join(map(_copied, row)) + "\n" for row in some)
        cursor.execute(statement, stream=io.BytesIO(text.encode()))


def _copied(value: Any) -> str:
    if value is None:
        return r"\N"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


# --- what there is --------------------------------------------------------------------------------------------------


def _versions(sizes: Sizes, chance: random.Random) -> tuple[Version, ...]:
    """Versions in the order in which they were registered; a tenth of them are of one model."""
    names = [f"{chance.choice(TEAMS)}-{chance.choice(AREAS)}-{number}" for number in range(sizes.models)]
    numbers = dict.fromkeys(names, 0)
    span = timedelta(days=700) / max(1, sizes.versions)
    states = [state for state, weight in _STATES for _ in range(weight)]
    made = []
    for place in range(sizes.versions):
        model = names[place] if place < len(names) else names[0] if chance.random() < 0.1 else chance.choice(names)
        numbers[model] += 1
        owner = chance.choice(PEOPLE)
        version = Version(
            name=VersionName(model, numbers[model]),
            project=PROJECT,
            digest=digest_of(b""),
            state=chance.choice(states),
            registered_by=owner,
            registered_at=_BEGINS + span * place,
            description=f"{model} of {chance.choice(SEASONS)}: {' '.join(chance.sample(WORDS[:20], 6))}",
            owners=(owner, chance.choice(PEOPLE)),
            authors=(owner,),
            tags={"team": _often(TEAMS, chance), "area": chance.choice(AREAS), "season": chance.choice(SEASONS)},
            contract=CONTRACT,
            contract_digest=contract_digest(CONTRACT),
            lock_digest=digest_of(b"lock"),
            python="3.11.7",
            files=6,
            size=120_000,
        )
        made.append(replace(version, digest=_manifest(version).digest))
    return tuple(made)


def _often(values: Sequence[str], chance: random.Random) -> str:
    """One of the values; the last one seldom."""
    return values[-1] if chance.random() < 0.002 else chance.choice(values[:-1])


def _manifest(version: Version) -> Manifest:
    files = tuple(
        FileEntry(path=path, digest=str(digest_of(f"{version.name} {path}".encode())), size=20_000)
        for path in ("NOTES.md", "README.md", "golden.parquet", "model/model.cloudpickle", "requirements.lock")
    )
    declared = {
        "format": 1,
        "name": version.model,
        "description": version.description,
        "runtime": _RUNTIME,
        "contract": msgspec.to_builtins(CONTRACT, builtin_types=()),
        "golden": {"rows": 20},
    }
    return Manifest(format=1, files=files, declared=declared)


def _text(chance: random.Random) -> str:
    """Notes of sixty words, in which some are common and others hardly ever come."""
    last = len(WORDS) - 1
    return " ".join(WORDS[min(last, int(chance.expovariate(1) * 12))] for _ in range(60))


def _models(sizes: Sizes, made: Sequence[Version], chance: random.Random) -> list[Model]:
    """Each with who made it first."""
    first: dict[str, Version] = {}
    for version in made:
        first.setdefault(version.model, version)
    assert len(first) == min(sizes.models, len(made))
    return [
        Model(
            name=name,
            project=PROJECT,
            created_by=version.registered_by,
            created_at=version.registered_at,
            facts=ModelFacts(
                owner=version.registered_by,
                deputy=chance.choice(PEOPLE),
                description=f"What {name} is for: {' '.join(chance.sample(WORDS, 12))}",
                business_metric="kept customers per quarter",
                tags={"team": _often(TEAMS, chance)},
            ),
            versions=(),
        )
        for name, version in first.items()
    ]


def _model_row(model: Model) -> dict[str, Any]:
    facts = model.facts
    return {
        "project": model.project, "name": model.name, "created_by": model.created_by, "created_at": rfc3339(model.created_at),
        "owner": facts.owner, "deputy": facts.deputy, "description": facts.description,
        "business_metric": facts.business_metric, "tags": json.dumps(dict(facts.tags)),
    }  # fmt: skip


def _version_row(version: Version) -> dict[str, Any]:
    return {
        "project": version.project, "model": version.model, "number": version.number, "digest": version.digest,
        "state": str(version.state), "registered_by": version.registered_by, "registered_at": rfc3339(version.registered_at),
        "description": version.description, "owners": json.dumps(version.owners), "authors": json.dumps(version.authors),
        "tags": json.dumps(version.tags), "contract": msgspec.json.encode(version.contract).decode(),
        "contract_digest": version.contract_digest, "lock_digest": version.lock_digest, "python": version.python,
        "files": version.files, "size": version.size,
    }  # fmt: skip


def _certify(tx: Transaction, made: Sequence[Version]) -> None:
    """A session and a certificate for whatever is no longer merely registered."""
    certified = [version for version in made if version.state is not VersionState.REGISTERED]
    checks = json.dumps([{"name": "golden", "passed": True, "figure": 0.0, "limit": 1e-9, "detail": "", "figures": {}}])
    at = {version.name: rfc3339(version.registered_at + timedelta(hours=1)) for version in certified}
    bulk(
        tx,
        sessions,
        (
            {"id": _session(version), "kind": "certification", "subject": str(version.name), "project": PROJECT, "state": "passed",
             "attempt": 1, "deaths": 0, "requested_by": version.registered_by, "created_at": at[version.name],
             "finished_at": at[version.name]}
            for version in certified
        ),
    )  # fmt: skip
    bulk(
        tx,
        certificates,
        (
            {"session": _session(version), "project": PROJECT, "model": version.model, "number": version.number,
             "digest": version.digest, "environment": digest_of(b"environment"), "hardware": "some processor", "checks": checks,
             "requested_by": version.registered_by, "at": at[version.name]}
            for version in certified
        ),
    )  # fmt: skip


def _session(version: Version) -> str:
    return f"s-{hashlib.sha256(str(version.name).encode()).hexdigest()[:24]}"


def _endpoints(
    tx: Transaction, sizes: Sizes, made: Sequence[Version], chance: random.Random
) -> list[tuple[str, tuple[Version, ...]]]:
    """Endpoints with their releases, the last one live; the first endpoint has had five hundred."""
    accepted = [version for version in made if version.state is VersionState.ACCEPTED] or list(made)
    rows: dict[str, list[dict[str, Any]]] = {"endpoints": [], "releases": [], "release_versions": [], "pointers": []}
    found = []
    for place in range(sizes.endpoints):
        name = f"{chance.choice(AREAS)}-scores-{place}"
        count = min(500, sizes.endpoints) if place == 0 else 3
        at = rfc3339(_BEGINS + timedelta(hours=place))
        rows["endpoints"].append(
            {"name": name, "project": PROJECT, "created_by": chance.choice(PEOPLE), "created_at": at}
        )
        for number in range(1, count + 1):
            chosen = chance.sample(accepted, k=min(3, len(accepted)))
            _release(rows, name, number, count, chosen, at)
        found.append((name, tuple(chosen)))
    for table in (endpoints, releases, release_versions):
        bulk(tx, table, rows[table.name])
    bulk(tx, pointers, rows["pointers"])
    return found


def _release(
    rows: dict[str, list[dict[str, Any]]], endpoint: str, number: int, count: int, chosen: Sequence[Version], at: str
) -> None:
    roles = (Role.CHAMPION, Role.CHALLENGER, Role.CANARY)
    plan = ServingPlan(
        format=1, project=PROJECT, endpoint=endpoint, release=number, contract=CONTRACT,
        contract_digest=str(contract_digest(CONTRACT)), deadline_ms=100.0,
        variants=tuple(
            PlannedVariant(
                version=str(version.name), role=role, manifest=str(version.digest), inputs=("tenure", "plan", "balance"),
                owners=version.owners,
            )
            for version, role in zip(chosen, roles, strict=False)
        ),
        policy=FirstPolicy(order=(str(chosen[0].name),), patience_ms=(90.0,)),
    )  # fmt: skip
    rows["releases"].append(
        {"endpoint": endpoint, "number": number, "project": PROJECT, "state": "live" if number == count else "superseded",
         "plan": msgspec.json.encode(plan).decode(), "plan_digest": plan_digest(plan), "proposed_by": "person-1", "proposed_at": at,
         "reason": "better", "decided_by": "person-2", "decided_at": at, "decision_reason": "agreed", "live_at": at, "step": 0}
    )  # fmt: skip
    for version in chosen:
        rows["release_versions"].append(
            {
                "endpoint": endpoint,
                "number": number,
                "project": PROJECT,
                "model": version.model,
                "version": version.number,
            }
        )
    rows["pointers"].append(
        {"endpoint": endpoint, "sequence": number, "number": number, "at": at, "by": "person-2", "cause": "went-live"}
    )


# --- people ---------------------------------------------------------------------------------------------------------


def _people(tx: Transaction, chance: random.Random) -> tuple[str, ...]:
    """Users with a token and a role each, some of a role of the project's own; a part of them are in groups as well.

    None of the tokens is good for anything: what they are hashes of is thrown away.
    """
    at = rfc3339(_BEGINS)
    names = sorted({*PEOPLE, *(f"user-{number}" for number in range(_USERS - len(PEOPLE)))})
    roles = ("viewer", "scientist", "scientist", "auditor", "consumer")
    bulk(
        tx,
        users,
        ({"name": name, "created_at": at, "kind": "person", "title": f"Of {chance.choice(AREAS)}"} for name in names),
    )
    bulk(
        tx,
        grants,
        (
            {"user_name": name, "project": PROJECT, "role": chance.choice(roles), "endpoints": '["*"]', "granted_at": at, "may": "[]"}
            for name in names
        ),
    )  # fmt: skip
    bulk(
        tx,
        tokens,
        (
            {"token_id": f"tok_{place:06}", "user_name": name, "sha256": f"{chance.getrandbits(256):064x}", "created_at": at, "label": ""}
            for place, name in enumerate(names)
        ),
    )  # fmt: skip
    rights = json.dumps(["read", "read-audit"])
    bulk(tx, custom_roles, [{"project": PROJECT, "name": "auditor", "rights": rights, "set_by": PEOPLE[0], "at": at}])
    named = [f"group-{number}" for number in range(_GROUPS)]
    bulk(tx, groups, ({"name": name, "created_by": PEOPLE[0], "created_at": at} for name in named))
    bulk(
        tx,
        group_grants,
        ({"group_name": name, "project": PROJECT, "role": "viewer", "endpoints": "[]", "granted_at": at, "may": "[]"} for name in named),
    )  # fmt: skip
    bulk(
        tx,
        group_members,
        ({"group_name": chance.choice(named), "user_name": name, "added_at": at} for name in names[::_GROUPS]),
    )
    return tuple(names)


# --- the catalogue --------------------------------------------------------------------------------------------------


def _catalogue(
    tx: Transaction,
    named: Sequence[Model],
    made: Sequence[Version],
    figures: Mapping[VersionName, float],
    texts: Mapping[VersionName, str],
    ends: Sequence[tuple[str, tuple[Version, ...]]],
) -> None:
    """Everything as the rooms enter it, in the order in which it came."""
    entries = sorted(_entries(named, made, figures, texts, ends), key=lambda entry: entry.at)
    placed = list(enumerate(entries, 1))
    bulk(tx, catalogue_entries, (_entry_row(place, entry) for place, entry in placed))
    bulk(
        tx,
        catalogue_facts,
        (
            {"project": PROJECT, "key": key, "value": value, "place": place}
            for place, entry in placed
            for key, value in catalogue_store.facts_of(entry)
        ),
    )
    bulk(
        tx,
        catalogue_figures,
        (
            {"place": place, "name": name, "project": PROJECT, "value": value}
            for place, entry in placed
            for name, value in entry.figures.items()
        ),
    )
    words = (catalogue_store.words_row(tx, PROJECT, place, catalogue_store.text_of(entry)) for place, entry in placed)
    if tx.is_postgresql:
        copied = ([values["place"], values["words"]] for _, values in words)
        copy_rows(tx, "COPY catalogue_words (place, words) FROM STDIN", copied)
        sequence = "SELECT setval(pg_get_serial_sequence('catalogue_entries', 'place'), :place)"
        tx.execute(sa.text(sequence), {"place": len(placed)})
        return
    while some := list(islice(words, _AT_ONCE)):
        tx.execute(sa.text(some[0][0]), [values for _, values in some])


def _entries(
    named: Sequence[Model],
    made: Sequence[Version],
    figures: Mapping[VersionName, float],
    texts: Mapping[VersionName, str],
    ends: Sequence[tuple[str, tuple[Version, ...]]],
) -> Iterator[CatalogueEntry]:
    for model in named:
        yield model_entry(model)
    for version in made:
        measured = {"auc": figures[version.name], "latency.p99_ms": 1 + 10 * figures[version.name]}
        yield version_entry(version, Told(text=texts[version.name], figures=measured))
    for place, (name, chosen) in enumerate(ends):
        yield CatalogueEntry(
            project=PROJECT,
            kind=Kind.ENDPOINT,
            name=name,
            state=str(EndpointState.SERVED),
            owner="person-1",
            at=_BEGINS + timedelta(hours=place),
            facts=(("champion", str(chosen[0].name)), *(("version", str(version.name)) for version in chosen)),
        )


def _entry_row(place: int, entry: CatalogueEntry) -> dict[str, Any]:
    return {
        "place": place, "project": entry.project, "kind": str(entry.kind), "name": entry.name, "state": entry.state,
        "owner": entry.owner, "at": rfc3339(entry.at), "description": entry.description[:SHOWN_CHARACTERS],
        "tags": json.dumps(dict(entry.tags)), "digest": entry.digest,
    }  # fmt: skip


# --- the audit chain ------------------------------------------------------------------------------------------------


def _audit(tx: Transaction, sizes: Sizes, made: Sequence[Version], chance: random.Random) -> Entry:
    """Every registration, and further events up to the number wanted, behind what the factory has put on record already."""
    chain = _Chain(audit_store.last(tx))

    def rows() -> Iterator[dict[str, Any]]:
        further = max(0, sizes.events - len(made))
        each = further // max(1, len(made))
        for place, version in enumerate(made):
            yield chain.next(version.registered_by, "version.registered", str(version.name), {"digest": version.digest})
            count = further - each * (len(made) - 1) if place == len(made) - 1 else each
            for _ in range(count):
                action = chance.choice(("version.certified-again", "session.finished", "release.step-moved"))
                yield chain.next(chance.choice(PEOPLE), action, str(chance.choice(made).name), {"session": "s-0"})

    bulk(tx, audit_events, rows())
    assert chain.last is not None
    return chain.last


class _Chain:
    """Entries one after another. The text that is hashed is RFC 8785's where there are only names and digests, and held against it."""

    def __init__(self, last: Entry | None) -> None:
        self.last = last

    def next(self, actor: str, action: str, subject: str, details: dict[str, str]) -> dict[str, Any]:
        """The next event, as a row."""
        before = self.last
        row: dict[str, Any] = {
            "sequence": 1 if before is None else before.sequence + 1,
            "at": rfc3339(_BEGINS + timedelta(seconds=60 * (0 if before is None else before.sequence))),
            "project": PROJECT,
            "actor": actor,
            "action": action,
            "subject": subject,
            "reason": "",
            "details": _canonical(details),
            "idempotency_key": None,
            "request_digest": None,
            "previous": str(BEGINNING) if before is None else before.hash,
        }
        hashed = _canonical({"format": AUDIT_FORMAT, **row})
        row["hash"] = "sha256:" + hashlib.sha256(hashed.encode()).hexdigest()
        self.last = Entry(**row)
        if self.last.sequence % 1000 == 0:
            assert hash_of(self.last) == row["hash"], asdict(self.last)
        return row


def _canonical(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _analyse(database: Database) -> None:
    """What PostgreSQL does by itself within a minute, done now; SQLite is left as it is in a factory."""
    if database.engine.dialect.name == "postgresql":
        with database.engine.connect() as connection:  # no vacuum within a transaction
            connection.exec_driver_sql("VACUUM ANALYZE")
