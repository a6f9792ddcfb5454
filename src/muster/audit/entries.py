"""Audit events and how they are chained: format 1.

The hash of an event is the SHA-256 of the RFC 8785 canonical JSON of all its other columns, `previous` (the hash of the
event before) among them. The first event's `previous` is the digest of nothing.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import rfc8785

from muster.vocabulary.digests import Digest, digest_of

AUDIT_FORMAT = 1
BEGINNING: Digest = digest_of(b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What somebody did, before it has its place in the chain."""

    actor: str
    action: str
    """Past tense, with its room: `version.registered`."""
    subject: str
    """What it was done to: `churn:3`, `churn release 2`, `user ana`."""
    project: str
    details: dict[str, Any]
    """Facts, JSON-serialisable, integers within ±2^53; never a secret."""
    reason: str = ""
    idempotency_key: str | None = None
    request_digest: str | None = None
    """Digest of the request that carried the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event in its place. `details` is canonical JSON text, as stored."""

    sequence: int
    at: str
    project: str
    actor: str
    action: str
    subject: str
    reason: str
    details: str
    idempotency_key: str | None
    request_digest: str | None
    previous: str
    hash: str


def hash_of(entry: Entry) -> Digest:
    """The hash that the entry should have."""
    content = {name: value for name, value in asdict(entry).items() if name != "hash"}
    return digest_of(rfc8785.dumps({"format": AUDIT_FORMAT, **content}))


def following(before: Entry | None, deed: Deed, at: str) -> Entry:
    """The deed in its place after an event; None: it is the first."""
    unsealed = Entry(
        sequence=1 if before is None else before.sequence + 1,
        at=at,
        project=deed.project,
        actor=deed.actor,
        action=deed.action,
        subject=deed.subject,
        reason=deed.reason,
        details=rfc8785.dumps(deed.details).decode(),
        idempotency_key=deed.idempotency_key,
        request_digest=deed.request_digest,
        previous=BEGINNING if before is None else before.hash,
        hash="",
    )
    return replace(unsealed, hash=hash_of(unsealed))
