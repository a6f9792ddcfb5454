"""Who may call: the access list in memory, looked up by the token's SHA-256, and how often each token may ask."""

import time
from hashlib import sha256

from muster.serving.errors import EndpointNotAllowed, RateExceeded, TokenUnknown, unknown_endpoint
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
        self._buckets: dict[tuple[str, str, str], tuple[float, float]] = {}
        """Level and moment, by token and either endpoint or project."""

    def replace(self, document: AccessList) -> None:
        """Take a new list; what is not on it is revoked from now on."""
        self._entries = {entry.sha256: entry for entry in document.entries}
        self._seen.clear()
        known = {entry.token_id for entry in document.entries}
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if key[0] in known}
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
    def may_call(entry: AccessEntry, project: str, endpoint: str) -> bool:
        """Whether the token is good for an endpoint of a project."""
        allowed = entry.endpoints
        if f"{project}/*" in allowed or f"{project}/{endpoint}" in allowed:
            return True
        # A list that Muster 0.1 published, from the cache of a front that has not reached control since the update.
        return "*" in allowed or endpoint in allowed

    @staticmethod
    def has_right(entry: AccessEntry, right: str, project: str) -> bool:
        """Whether the token has a further right in a project."""
        return f"{project}/{right}" in entry.rights or right in entry.rights

    @staticmethod
    def knows(entry: AccessEntry, project: str) -> bool:
        """Whether the token is good for anything in a project; to others its endpoints are as if they were not there."""
        return any("/" not in name or name.startswith(f"{project}/") for name in entry.endpoints)

    def require(self, entry: AccessEntry, project: str, endpoint: str) -> None:
        """Nothing, if the token is good for an endpoint.

        Raises:
            EndpointUnknown: it is of a project for which the token is good for nothing.
            EndpointNotAllowed: the token is good for other endpoints of the project.
        """
        if self.may_call(entry, project, endpoint):
            return
        if not self.knows(entry, project):
            raise unknown_endpoint(endpoint)
        raise EndpointNotAllowed(
            f"the token of {entry.name!r} is not good for endpoint {endpoint!r}", endpoint=endpoint
        )

    def admit(self, entry: AccessEntry, project: str, endpoint: str, requests_per_s: int) -> None:
        """Let one request of the token pass.

        Args:
            entry: whose token.
            project: of the endpoint.
            endpoint: that is asked.
            requests_per_s: how often the release lets one token ask; 0: as often as it likes.

        Raises:
            EndpointUnknown, EndpointNotAllowed: the token is not good for the endpoint.
            RateExceeded: it asks the endpoint, or the endpoints of the project together, too often; `retry_after_s` is
                among the facts.
        """
        self.require(entry, project, endpoint)
        of_project = entry.requests_per_s.get(project, 0)
        if not (requests_per_s or of_project):
            return
        now = time.monotonic()
        # Both are looked at before either is drawn from: a request that is refused uses nothing up.
        drawn = []
        for key, rate, what in (
            ((entry.token_id, endpoint, ""), requests_per_s, f"endpoint {endpoint!r}"),
            ((entry.token_id, "", project), of_project, f"the endpoints of project {project!r}"),
        ):
            if rate:
                level = self._level(key, rate, now)
                if level < 1:
                    raise RateExceeded(
                        f"{entry.name!r} asks {what} more than {rate} times a second",
                        retry_after_s=max(1, round((1 - level) / rate)),
                    )
                drawn.append((key, level))
        for key, level in drawn:
            self._buckets[key] = (level - 1, now)

    def _level(self, key: tuple[str, str, str], rate: int, now: float) -> float:
        """How full a token bucket is that holds one second's worth."""
        level, at = self._buckets.get(key, (float(rate), now))
        return min(float(rate), level + (now - at) * rate)
