"""Who may call: the access list in memory, looked up by the token's SHA-256, and how often each token may ask."""

import time
from hashlib import sha256

from muster.serving.errors import EndpointNotAllowed, RateExceeded, TokenUnknown
from muster.wire.plans import AccessEntry, AccessList

_BEARER = b"bearer "
_MOST_SEEN = 10_000
_LONGEST_SEEN = 512


class Tokens:
    """The access list of a front."""

    def __init__(self) -> None:
        self._entries: dict[str, AccessEntry] = {}
        self._seen: dict[bytes, AccessEntry] = {}
        """By the whole header: hashing the same token for each request would cost more than all else here."""
        self.turn = 0
        """Grows with every list."""
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def replace(self, document: AccessList) -> None:
        """Take a new list; what is not on it is revoked from now on."""
        self._entries = {entry.sha256: entry for entry in document.entries}
        self._seen.clear()
        self.turn += 1

    def identify(self, authorization: bytes | None) -> AccessEntry:
        """Whose token it is.

        Args:
            authorization: the value of the header `Authorization`.

        Raises:
            TokenUnknown: there is none, or it is not on the list, or it has expired.
        """
        if authorization is None or authorization[:7].lower() != _BEARER:
            raise TokenUnknown("the header `Authorization: Bearer TOKEN` is missing")
        entry = self._seen.get(authorization)
        if entry is None:
            entry = self._entries.get(sha256(authorization[7:].strip()).hexdigest())
            if entry is None:
                raise TokenUnknown(
                    "the token is unknown or revoked, or its role may not score (docs/reference/roles.md)"
                )
            if len(self._seen) < _MOST_SEEN and len(authorization) <= _LONGEST_SEEN:
                self._seen[authorization] = entry
        if entry.expires_ns and entry.expires_ns < time.time_ns():
            raise TokenUnknown("the token has expired")
        return entry

    @staticmethod
    def may_call(entry: AccessEntry, endpoint: str) -> bool:
        """Whether the token is good for an endpoint."""
        return "*" in entry.endpoints or endpoint in entry.endpoints

    def admit(self, entry: AccessEntry, endpoint: str, requests_per_s: int) -> None:
        """Let one request of the token pass.

        Raises:
            EndpointNotAllowed: the token is not good for the endpoint.
            RateExceeded: it asks too often; `retry_after_s` is among the facts.
        """
        if not self.may_call(entry, endpoint):
            raise EndpointNotAllowed(
                f"the token of {entry.name!r} is not good for endpoint {endpoint!r}", endpoint=endpoint
            )
        if requests_per_s:
            self._draw(entry, endpoint, requests_per_s)

    def _draw(self, entry: AccessEntry, endpoint: str, requests_per_s: int) -> None:
        """A token bucket that holds one second's worth."""
        now = time.monotonic()
        level, at = self._buckets.get((entry.token_id, endpoint), (float(requests_per_s), now))
        level = min(float(requests_per_s), level + (now - at) * requests_per_s)
        if level < 1:
            self._buckets[entry.token_id, endpoint] = (level, now)
            raise RateExceeded(
                f"{entry.name!r} asks endpoint {endpoint!r} more than {requests_per_s} times a second",
                retry_after_s=max(1, round((1 - level) / requests_per_s)),
            )
        self._buckets[entry.token_id, endpoint] = (level - 1, now)
