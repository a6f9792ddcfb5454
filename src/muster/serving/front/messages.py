"""One HTTP request and its reply, as the scoring door hands them between the server and the application."""

from collections.abc import Sequence
from typing import Protocol

from muster.serving.errors import BodyTooLarge
from muster.wire.inference import InferenceError, error_body

Header = tuple[bytes, bytes]
_JSON = b"application/json"


class Answering(Protocol):
    """The connection that a request came on."""

    @property
    def peer(self) -> str | None:
        """The caller's address; None where it has none, or has gone."""
        ...

    @property
    def is_gone(self) -> bool:
        """Whether the caller has hung up."""
        ...

    def send(self, request: "Request", reply: "Reply", *, without_body: bool) -> None:
        """Send the reply to the request that is under way."""
        ...


class Reply:
    """A whole answer.

    Args:
        status: the HTTP status.
        body: its bytes, or several pieces of them.
        headers: further headers; names in lower case.
        content_type: of the body.
    """

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        status: int,
        body: bytes | Sequence[bytes | memoryview],
        headers: tuple[Header, ...] = (),
        content_type: bytes = _JSON,
    ) -> None:
        self.status = status
        self.body = body
        self.headers = headers
        self.content_type = content_type


class Request:
    """One request; its body is whole when `App.answer` gets it."""

    __slots__ = (
        "_connection",
        "_is_head",
        "arrived_at",
        "body",
        "facts",
        "headers",
        "is_old",
        "keep_alive",
        "method",
        "refusal",
        "target",
    )

    def __init__(
        self, connection: Answering, method: bytes, target: bytes, headers: dict[bytes, bytes], *, keep_alive: bool
    ) -> None:
        self._connection = connection
        self._is_head = method == b"HEAD"
        self.method = b"GET" if self._is_head else method
        self.target = target
        self.headers = headers
        """By lower-case name."""
        self.keep_alive = keep_alive
        self.is_old = False
        """HTTP/1.0: a connection that is kept has to be named in the reply."""
        self.body: bytes = b""
        self.arrived_at = 0.0
        """When the whole request was there, by `time.monotonic`."""
        self.refusal: Reply | None = None
        self.facts: object = None
        """For the application: what it found out from the head."""

    def reply(self, reply: Reply) -> None:
        """Send the answer; does nothing when the caller has gone, and never raises."""
        self._connection.send(self, reply, without_body=self._is_head)

    @property
    def peer(self) -> str | None:
        """The caller's address; None where it has none, or has gone."""
        return self._connection.peer

    @property
    def is_abandoned(self) -> bool:
        """Whether the caller has hung up."""
        return self._connection.is_gone


class App(Protocol):
    """What answers requests. Nothing here raises."""

    @property
    def is_overloaded(self) -> bool:
        """As much is under way as can be answered in time: whole requests for scores may be refused unread."""
        ...

    def turned_away(self) -> None:
        """One was."""
        ...

    def expect(self, request: "Request") -> int | Reply:
        """The head is there: how many bytes the body may have, or the refusal."""
        ...

    def answer(self, request: "Request") -> None:
        """The body is there: call `request.reply`, now or later."""
        ...


def refusal_of(status: int, told: str, headers: tuple[Header, ...] = ()) -> Reply:
    """A reply that says what is wrong."""
    return Reply(status, error_body(InferenceError(told)), headers)


def too_large(told: str) -> Reply:
    """The reply to a body that has too many bytes."""
    return refusal_of(413, told, ((b"muster-error-code", BodyTooLarge.code.encode()),))
