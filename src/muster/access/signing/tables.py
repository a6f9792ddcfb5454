"""Where passwords, bound identities, failed attempts and sign-ins under way are kept."""

import sqlalchemy as sa

from muster.storage.schema import METADATA, name_column, time_column

passwords = sa.Table(
    "passwords",
    METADATA,
    name_column("user_name", sa.ForeignKey("users.name"), primary_key=True),
    sa.Column("hash", sa.Text, nullable=False),  # argon2id, with its parameters
    time_column("set_at"),
    name_column("set_by"),
    sa.Column("must_change", sa.Boolean, nullable=False),
)

#: Tokens that somebody got by signing in, and how; all else about them stands in `tokens`.
sign_ins = sa.Table(
    "sign_ins",
    METADATA,
    sa.Column("token_id", sa.String(32), sa.ForeignKey("tokens.token_id"), primary_key=True),
    name_column("user_name", sa.ForeignKey("users.name")),
    sa.Column("way", sa.String(80), nullable=False),  # `password`, or `oidc` and the provider's name
    time_column("at"),
    sa.Index(None, "user_name"),
)

#: Attempts that failed or are under way, for as long as they count; success takes a user's away.
sign_in_attempts = sa.Table(
    "sign_in_attempts",
    METADATA,
    sa.Column("attempt_id", sa.String(32), primary_key=True),
    # SHA-256 of the name that was given: people type their password into the wrong field.
    sa.Column("who", sa.String(64), nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
    time_column("at"),
    sa.Index(None, "who", "at"),
    sa.Index(None, "address", "at"),
)

identities = sa.Table(
    "identities",
    METADATA,
    sa.Column("issuer", sa.String(255), primary_key=True),
    sa.Column("subject", sa.String(255), primary_key=True),
    name_column("user_name", sa.ForeignKey("users.name")),
    time_column("bound_at"),
    name_column("bound_by"),
    sa.Index(None, "user_name"),
)

#: Sign-ins at a provider, from their beginning until some minutes after they are over.
oidc_flows = sa.Table(
    "oidc_flows",
    METADATA,
    sa.Column("state_sha256", sa.String(64), primary_key=True),
    sa.Column("handle_sha256", sa.String(64), nullable=False, unique=True),
    name_column("provider"),
    sa.Column("nonce", sa.String(64), nullable=False),
    sa.Column("verifier", sa.String(64), nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
    time_column("begun_at"),
    time_column("expires_at"),
    time_column("called_at", nullable=True),  # the browser came back: the code was taken to the provider, once
    time_column("finished_at", nullable=True),
    sa.Column("problem", sa.Text, nullable=True),  # JSON: code and message of why it failed
    sa.Column("subject", sa.String(255), nullable=True),  # whom the provider vouches for
    sa.Column("claimed", sa.String(255), nullable=True),  # the value of the provider's claim, if it is a text
    sa.Column(
        "groups", sa.Text, nullable=True
    ),  # JSON list: the factory's groups that the provider puts the person into
    sa.Column("code_sha256", sa.String(64), nullable=True),
    sa.Column("wrong_codes", sa.Integer, nullable=False),
    sa.Index(None, "address", "begun_at"),
    sa.Index(None, "begun_at"),
)
