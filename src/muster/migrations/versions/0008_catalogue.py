"""What a model carries besides its versions, and the catalogue in which everything is searched."""

import json
import re
import unicodedata
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_PLACE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_FACT = sa.String(length=260).with_variant(postgresql.VARCHAR(length=260, collation="C"), "postgresql")


def upgrade() -> None:
    """Add what is new, and enter what is there."""
    op.add_column("models", sa.Column("owner", sa.String(length=64), server_default="", nullable=False))
    op.add_column("models", sa.Column("deputy", sa.String(length=64), nullable=True))
    op.add_column("models", sa.Column("description", sa.Text(), server_default="", nullable=False))
    op.add_column("models", sa.Column("business_metric", sa.Text(), server_default="", nullable=False))
    op.add_column("models", sa.Column("tags", sa.Text(), server_default="{}", nullable=False))
    op.execute("UPDATE models SET owner = created_by")
    op.create_index(op.f("ix_endpoints_project_name"), "endpoints", ["project", "name"])
    _make_tables()
    _make_words()
    _enter()


def _make_tables() -> None:
    op.create_table(
        "catalogue_entries",
        sa.Column("place", _PLACE, autoincrement=True, nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=True),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_catalogue_entries")),
        sa.UniqueConstraint("project", "kind", "name", name=op.f("uq_catalogue_entries_project_kind_name")),
    )
    for last in ("place", "kind", "state", "at"):
        columns = ["project", *([] if last == "place" else [last]), "place"]
        op.create_index(f"ix_catalogue_entries_{last}", "catalogue_entries", columns)
    op.create_table(
        "catalogue_facts",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("key", _FACT, nullable=False),
        sa.Column("value", _FACT, nullable=False),
        sa.Column("place", _PLACE, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["place"], ["catalogue_entries.place"], name=op.f("fk_catalogue_facts_place")),
        sa.PrimaryKeyConstraint("project", "key", "value", "place", name=op.f("pk_catalogue_facts")),
    )
    op.create_index("ix_catalogue_facts_place", "catalogue_facts", ["place", "key", "value"])
    op.create_table(
        "catalogue_figures",
        sa.Column("place", _PLACE, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["place"], ["catalogue_entries.place"], name=op.f("fk_catalogue_figures_place")),
        sa.PrimaryKeyConstraint("place", "name", name=op.f("pk_catalogue_figures")),
    )
    op.create_index("ix_catalogue_figures_value", "catalogue_figures", ["project", "name", "value", "place"])


def _make_words() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TABLE catalogue_words (place BIGINT NOT NULL CONSTRAINT pk_catalogue_words PRIMARY KEY "
            "CONSTRAINT fk_catalogue_words_place REFERENCES catalogue_entries (place), words TSVECTOR NOT NULL)"
        )
        op.execute("CREATE INDEX ix_catalogue_words_words ON catalogue_words USING gin (words)")
        return
    # The words are cut before they come here: all that is left for the tokeniser is the space between them.
    op.execute("CREATE VIRTUAL TABLE catalogue_words USING fts5(scope, words, tokenize = 'ascii', prefix = '3')")


def _enter() -> None:
    """Enter what there is, as the rooms of this version of Muster do; notes lie in the store, and are not looked up here."""
    connection = op.get_bind()
    for row in connection.execute(sa.text("SELECT * FROM models ORDER BY created_at, name")).all():
        facts = [("model", row.name), ("by", row.created_by), ("owner", row.owner)]
        _put(connection, row.project, "model", row.name, "", row.owner, row.created_at, facts=facts)
    versions = connection.execute(sa.text("SELECT * FROM versions ORDER BY registered_at, model, number"))
    for row in versions.all():
        owners, tags = json.loads(row.owners), json.loads(row.tags)
        facts = [("model", row.model), ("by", row.registered_by), ("digest", row.digest)]
        facts += [("owner", name) for name in owners] + [("author", name) for name in json.loads(row.authors)]
        facts += [(f"tag:{key}", value) for key, value in tags.items()]
        _put(
            connection, row.project, "version", f"{row.model}:{row.number}", row.state, (owners or [row.registered_by])[0],
            row.registered_at, facts=facts, description=row.description, tags=tags, digest=row.digest,
        )  # fmt: skip
    current = sa.text(
        "SELECT e.*, (SELECT p.number FROM release_pointers p WHERE p.endpoint = e.name ORDER BY p.sequence DESC LIMIT 1) AS current "
        "FROM endpoints e ORDER BY e.created_at, e.name"
    )
    for row in connection.execute(current).all():
        facts = [("owner", row.created_by), ("by", row.created_by)]
        if row.current is not None:
            asked = sa.text("SELECT plan FROM releases WHERE endpoint = :endpoint AND number = :number")
            plan = json.loads(connection.execute(asked, {"endpoint": row.name, "number": row.current}).scalar_one())
            names = [variant["version"] for variant in plan["variants"]]
            facts += [("champion", names[0]), *(("version", name) for name in names)]
            facts += [("model", model) for model in dict.fromkeys(name.partition(":")[0] for name in names)]
        state = "unserved" if row.current is None else "served"
        _put(connection, row.project, "endpoint", row.name, state, row.created_by, row.created_at, facts=facts)


def _put(
    connection: sa.Connection, project: str, kind: str, name: str, state: str, owner: str, at: str, *,
    facts: list[tuple[str, str]], description: str = "", tags: dict[str, str] | None = None, digest: str | None = None,
) -> None:  # fmt: skip
    tags = tags or {}
    made = connection.execute(
        sa.text(
            "INSERT INTO catalogue_entries (project, kind, name, state, owner, at, description, tags, digest) "
            "VALUES (:project, :kind, :name, :state, :owner, :at, :description, :tags, :digest) RETURNING place"
        ),
        {"project": project, "kind": kind, "name": name, "state": state, "owner": owner, "at": at,
         "description": description[:300], "tags": json.dumps(tags), "digest": digest},
    )  # fmt: skip
    place = made.scalar_one()
    every = [("name", name.partition(":")[0]), ("owner", owner), *facts]
    rows: list[dict[str, Any]] = [
        {"project": project, "key": key[:250], "value": value[:250], "place": place}
        for key, value in dict.fromkeys((key[:250], value[:250]) for key, value in every)
        if value or ":" in key
    ]
    statement = "INSERT INTO catalogue_facts (project, key, value, place) VALUES (:project, :key, :value, :place)"
    connection.execute(sa.text(statement), rows)
    text = "\n".join((name, description, " ".join(f"{key} {value}" for key, value in tags.items())))
    words, scope = _words(text), f"p{project.encode().hex()}"
    if connection.dialect.name == "postgresql":
        positions: dict[str, list[str]] = {}
        for position, word in enumerate(words, 1):
            positions.setdefault(word, []).append(str(position))
        vector = " ".join([scope, *(f"{word}:{','.join(found[:200])}" for word, found in positions.items())])
        statement = "INSERT INTO catalogue_words (place, words) VALUES (:place, CAST(:words AS tsvector))"
        connection.execute(sa.text(statement), {"place": place, "words": vector})
        return
    statement = "INSERT INTO catalogue_words (rowid, scope, words) VALUES (:place, :scope, :words)"
    connection.execute(sa.text(statement), {"place": place, "scope": scope, "words": " ".join(words)})


def _words(text: str) -> list[str]:
    plain = "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))
    return [word[:60] for word in re.findall(r"[^\W_]+", plain.casefold())[:16_000]]
