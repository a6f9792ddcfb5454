"""Where endpoints, releases and the history of what was current are kept."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

endpoints = sa.Table(
    "endpoints",
    METADATA,
    name_column("name", primary_key=True),  # unique in the factory: a request names no project
    name_column("project"),
    name_column("created_by"),
    time_column("created_at"),
    sa.Index(None, "project", "name"),
)

releases = sa.Table(
    "releases",
    METADATA,
    name_column("endpoint", sa.ForeignKey("endpoints.name"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    name_column("project"),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("plan", sa.Text, nullable=False),  # JSON of wire.plans.ServingPlan; never changed
    sa.Column("plan_digest", sa.String(71), nullable=False),
    name_column("proposed_by"),
    time_column("proposed_at"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("decided_by", sa.String(64), nullable=True),
    time_column("decided_at", nullable=True),
    sa.Column("decision_reason", sa.Text, nullable=True),
    time_column("live_at", nullable=True),
    sa.Column("failure", sa.Text, nullable=True),
    sa.Column(
        "breaks", sa.Text, nullable=True
    ),  # JSON list of what it broke of the current contract when it was proposed
    sa.Column("step", sa.Integer, nullable=False, server_default="0"),  # of its ramp; kept when another is current
    time_column("live_from", nullable=True),  # approved for this moment; null: for at once
)

#: Which versions are in which release, to be asked from the version's side.
release_versions = sa.Table(
    "release_versions",
    METADATA,
    name_column("endpoint", primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    name_column("project"),
    name_column("model", primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.ForeignKeyConstraint(["endpoint", "number"], ["releases.endpoint", "releases.number"]),
    sa.Index(None, "project", "model", "version"),
)

#: Which consumers agreed to what a release breaks; rows are only ever added.
acknowledgements = sa.Table(
    "release_acknowledgements",
    METADATA,
    name_column("endpoint", primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    name_column("consumer", primary_key=True),
    sa.Column("before", sa.String(71), primary_key=True),  # digest of the contract that is broken
    name_column("project"),
    name_column("acknowledged_by"),
    time_column("at"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(["endpoint", "number"], ["releases.endpoint", "releases.number"]),
)

#: What became current when; rows are only ever added, the last one counts.
pointers = sa.Table(
    "release_pointers",
    METADATA,
    name_column("endpoint", primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, nullable=False),
    time_column("at"),
    name_column("by"),
    sa.Column("cause", sa.String(16), nullable=False),
    sa.ForeignKeyConstraint(["endpoint", "number"], ["releases.endpoint", "releases.number"]),
)

#: Fronts that followed when control last ran: after a restart they are waited for, until they are silent for too long.
followers = sa.Table(
    "release_followers",
    METADATA,
    name_column("front", primary_key=True),
    time_column("since"),
)

#: Releases that went live without their approvals; each is confirmed in time, or rolled back.
broken_glass = sa.Table(
    "broken_glass",
    METADATA,
    name_column("endpoint", primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    name_column("project"),
    name_column("broken_by"),
    time_column("at"),
    time_column("confirm_by"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.ForeignKeyConstraint(["endpoint", "number"], ["releases.endpoint", "releases.number"]),
)
